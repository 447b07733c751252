package dev.coppice.bundle;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** The changes that a store makes to its disk, each on the disk when it returns. Tests end it after any of them. */
class Disk {

  /** Makes a folder, with those above it. */
  void folder(Path folder) throws IOException {
    Path there = folder;
    while (!Files.exists(there)) {
      there = there.getParent();
    }
    Files.createDirectories(folder);
    for (Path made = folder; !made.equals(there); made = made.getParent()) {
      sync(made.getParent());
    }
  }

  void write(Path file, byte[] bytes) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      for (ByteBuffer rest = ByteBuffer.wrap(bytes); rest.hasRemaining(); ) {
        channel.write(rest);
      }
      channel.force(true);
    }
  }

  /** Gives a new name to a file, folder or link, in place of what has that name. */
  void rename(Path from, Path to) throws IOException {
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    sync(to.getParent());
  }

  void link(Path link, Path target) throws IOException {
    Files.createSymbolicLink(link, target);
  }

  /** Deletes a file, or a folder with what is in it; links are not followed. */
  void delete(Path path) throws IOException {
    if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
      for (Path entry : entries(path)) {
        delete(entry);
      }
    }
    Files.deleteIfExists(path);
  }

  /** Deletes what a change that failed has left; what goes wrong here is told with the reason for it. */
  void discard(Path path, Exception reason) {
    try {
      delete(path);
    } catch (IOException e) {
      reason.addSuppressed(e);
    }
  }

  /** What a folder holds. */
  static List<Path> entries(Path folder) throws IOException {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
      entries.forEach(found::add);
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    return found;
  }

  /** What a folder lists is data of its own. Some file systems cannot sync it; what they guarantee without is all there is. */
  void sync(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      try {
        channel.force(true);
      } catch (IOException e) {
        if (forces(channel)) { // Linux tells once of what it lost; what a file system never can fails again
          throw e;
        }
      }
    }
  }

  private static boolean forces(FileChannel channel) {
    try {
      channel.force(true);
      return true;
    } catch (IOException e) {
      return false;
    }
  }
}
