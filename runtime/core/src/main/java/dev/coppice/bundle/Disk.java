package dev.coppice.bundle;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

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
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(path)) {
        for (Path entry : entries) {
          delete(entry);
        }
      }
    }
    Files.deleteIfExists(path);
  }

  /** What a folder lists is data of its own. */
  void sync(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (NoSuchFileException gone) {
      throw gone;
    } catch (IOException unsupported) {
      // some file systems cannot sync a folder; what they guarantee without is all there is
    }
  }
}
