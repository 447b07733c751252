package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;

/** A bundle in a folder of its own. Links could lead out of it, and are refused. */
final class FolderSource implements Source {

  private final Path folder;

  /** folder may be a link that is set anew while it is read: what it means now is read. */
  FolderSource(Path folder) {
    Path real;
    try {
      real = folder.toRealPath();
    } catch (IOException missing) {
      real = folder;
    }
    this.folder = real;
  }

  @Override
  public Path place(String name) {
    return folder.resolve(name);
  }

  @Override
  public Set<String> names() {
    Set<String> found = new TreeSet<>();
    try {
      Files.walkFileTree(folder, new SimpleFileVisitor<>() {
        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
          if (!attributes.isRegularFile()) {
            throw new BundleException("link", file + ": expected a regular file, found a link or device; copy the bundle's files themselves.");
          }
          if (linkCount(file) > 1) {
            throw new BundleException("link", file + ": expected a file of its own, found a hard link; copy the bundle's files themselves.");
          }
          if (found.size() > MOST_FILES) {
            throw Source.tooMany(folder);
          }
          found.add(folder.relativize(file).toString());
          return FileVisitResult.CONTINUE;
        }
      });
    } catch (IOException e) {
      throw unreadable(folder, e);
    }
    return found;
  }

  private static int linkCount(Path file) throws IOException {
    try {
      return (Integer) Files.getAttribute(file, "unix:nlink", LinkOption.NOFOLLOW_LINKS);
    } catch (UnsupportedOperationException notUnix) {
      return 1;
    }
  }

  @Override
  public byte[] read(String name, long most) {
    Path file = folder.resolve(name);
    try {
      return bytes(file, (int) size(file, most));
    } catch (IOException e) {
      throw refused(file, e);
    }
  }

  @Override
  public void read(String name, ByteBuffer into) {
    Path file = folder.resolve(name);
    try {
      size(file, into.remaining());
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
        int read = 0;
        while (read >= 0 && into.hasRemaining()) {
          read = channel.read(into);
        }
      }
    } catch (IOException e) {
      throw refused(file, e);
    }
  }

  private static long size(Path file, long most) throws IOException {
    BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    if (!attributes.isRegularFile()) { // reading a pipe would wait for ever
      throw new BundleException("link", file + ": expected a regular file, found a link, folder or device; copy the bundle's files themselves.");
    }
    if (attributes.size() > most) {
      throw new BundleException("changed", file + ": expected at most " + most + " bytes, found " + attributes.size() + "; copy the bundle again.");
    }
    return attributes.size();
  }

  /** Piece by piece: the channel's own memory for one large read would be as large, and is kept. */
  private static byte[] bytes(Path file, int size) throws IOException {
    byte[] out = new byte[size];
    int at = 0;
    try (InputStream in = Files.newInputStream(file)) {
      for (int read = 0; read >= 0 && at < size; at += Math.max(0, read)) {
        read = in.read(out, at, Math.min(1 << 16, size - at));
      }
    }
    return at == size ? out : Arrays.copyOf(out, at);
  }

  private static BundleException refused(Path file, IOException e) {
    return e instanceof NoSuchFileException ? new BundleException("missing", file + ": no such file; copy the bundle again.", e) : unreadable(file, e);
  }

  static BundleException unreadable(Path path, IOException e) {
    return new BundleException("unreadable", path + ": cannot be read (" + e.getMessage() + "); check its permissions.", e);
  }
}
