package dev.coppice.ops;

import dev.coppice.api.NativeException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.HexFormat;
import java.util.Optional;
import java.util.zip.CRC32;

/**
 * A folder of files that nobody else can have put there: it is the user's own with mode 0700. The name of a kept file holds its sum, and it is
 * summed again before it is used, so one that was damaged or torn is never used. Processes may share the folder: each writes a file of its own
 * and renames it.
 *
 * <p>The sum is a CRC-32: the folder keeps strangers out, the sum finds accidents, and it is native code even in a young JVM, where SHA-256 of a
 * model takes a tenth of a second.
 *
 * @param path of the folder
 */
public record PrivateFolder(Path path) {

  /** Bytes that are read or written at once. */
  static final int PIECE = 1 << 16;

  /**
   * Opens the folder, or makes it.
   *
   * @param remedy what to do about a folder that others can write to
   * @throws NativeException {@code unsafe} if it is a link, another user's, or open to others
   * @throws IOException if it cannot be made, or is no folder to write to
   */
  public static PrivateFolder at(Path path, String remedy) throws IOException {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      Files.createDirectories(path.toAbsolutePath().getParent());
      try {
        Files.createDirectory(path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      } catch (FileAlreadyExistsException another) {
        // Another JVM starts at the same time; what it made is checked below.
      }
    }
    PosixFileAttributes found = Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    String mode = PosixFilePermissions.toString(found.permissions());
    if (found.isDirectory() && mode.equals("rwx------") && isOwn(found.owner())) {
      return new PrivateFolder(path);
    }
    Path probe = Files.createTempFile(path, ".owner", null);
    UserPrincipal self = Files.getOwner(probe);
    Files.delete(probe);
    if (!found.isDirectory() || !found.owner().equals(self) || !mode.equals("rwx------")) {
      String kind = found.isDirectory() ? "mode " + mode + " of " + found.owner().getName() : "a link";
      throw new NativeException("unsafe", path + ": expected a folder of " + self.getName() + " with mode rwx------, found " + kind
          + "; correct it with chmod 700, or " + remedy + ".");
    }
    return new PrivateFolder(path);
  }

  /**
   * Whether this process is the user's, as far as /proc tells: it names root where the process must not be looked into. Asked before a file is made,
   * whose random name takes a young JVM 10 ms.
   */
  private static boolean isOwn(UserPrincipal user) {
    try {
      return user.equals(Files.getOwner(Path.of("/proc/self")));
    } catch (IOException unknown) {
      return false;
    }
  }

  /** A new empty file, to be filled and given to {@link #keep}, or deleted. */
  public Path part() throws IOException {
    return Files.createTempFile(path, ".part", null);
  }

  /** The file kept under this key, if its bytes are still those that were kept; any other is deleted. */
  public Optional<Path> find(String key) throws IOException {
    try (DirectoryStream<Path> kept = Files.newDirectoryStream(path, key + ".*")) {
      for (Path file : kept) {
        if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && file.getFileName().toString().equals(key + "." + digits(sum(file)))) {
          return Optional.of(file);
        }
        Files.deleteIfExists(file);
      }
    }
    return Optional.empty();
  }

  /** Gives a filled part the place of what has this key. Not forced to the disk: what a power cut tears is not used. */
  public void keep(Path part, String key) throws IOException {
    Path place = path.resolve(key + "." + digits(sum(part)));
    Files.move(part, place, StandardCopyOption.ATOMIC_MOVE);
    try (DirectoryStream<Path> kept = Files.newDirectoryStream(path, key + ".*")) {
      for (Path file : kept) {
        if (!file.equals(place)) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  /** The CRC-32 of a file, by a small buffer: these files are as large as a small board's free memory. */
  static long sum(Path file) throws IOException {
    CRC32 sum = new CRC32();
    ByteBuffer piece = ByteBuffer.allocateDirect(PIECE);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      while (channel.read(piece.clear()) >= 0) {
        sum.update(piece.flip());
      }
    }
    return sum.getValue();
  }

  /** A sum as names of files have it: eight hexadecimal digits. */
  static String digits(long sum) {
    return HexFormat.of().toHexDigits((int) sum);
  }
}
