package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** The files of one bundle folder. What is hashed is what is used: bytes are read once. */
final class BundleFiles {

  static final String MANIFEST = "bundle.json";
  /** Signs the manifest with all that it lists, so the manifest cannot list it. Only its owner's tool reads it yet. */
  static final String SIGNATURE = "model.sig";
  private static final long MOST_MANIFEST_BYTES = 1 << 20;
  private static final int MOST_FILES = 1000;

  private final Path folder;
  private byte[] manifest; // once it has been read

  /** folder may be a link that is set anew while it is read: what it means now is read. */
  BundleFiles(Path folder) {
    Path real;
    try {
      real = folder.toRealPath();
    } catch (IOException missing) {
      real = folder;
    }
    this.folder = real;
  }

  /** The manifest of a folder that holds the files it lists and no others. */
  Manifest verifiedManifest() {
    Manifest manifest = Manifest.parse(folder.resolve(MANIFEST).toString(), manifest());
    requireExactly(manifest.files().keySet());
    return manifest;
  }

  byte[] manifest() {
    if (manifest == null) {
      if (!Files.isDirectory(folder)) {
        throw new BundleException("missing", folder + ": no such bundle folder; give a folder that holds " + MANIFEST + ".");
      }
      manifest = read(folder.resolve(MANIFEST), MOST_MANIFEST_BYTES);
    }
    return manifest;
  }

  /** The signature; empty without one. */
  Optional<byte[]> signature() {
    Path file = folder.resolve(SIGNATURE);
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS) ? Optional.of(read(file, MOST_MANIFEST_BYTES)) : Optional.empty();
  }

  /** Reads a file that the manifest lists, and refuses it unless size and hash are the manifest's. */
  byte[] verified(String name, Manifest manifest) {
    Manifest.FileEntry entry = manifest.files().get(name);
    if (entry == null) {
      throw new BundleException("missing", folder.resolve(name) + ": " + MANIFEST + " lists no such file; export the bundle again.");
    }
    byte[] bytes = read(folder.resolve(name), entry.bytes());
    String found = sha256(bytes);
    if (bytes.length != entry.bytes() || !found.equalsIgnoreCase(entry.sha256())) {
      throw new BundleException("changed", folder.resolve(name) + ": expected " + entry.bytes() + " bytes with SHA-256 " + entry.sha256()
          + ", found " + bytes.length + " bytes with " + found + "; copy the bundle again.");
    }
    return bytes;
  }

  /** Refuses a folder that lacks a listed file or holds anything else; links could lead out of it. */
  void requireExactly(Set<String> listed) {
    Set<String> found = new TreeSet<>();
    try {
      Files.walkFileTree(folder, new SimpleFileVisitor<>() {
        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
          String name = folder.relativize(file).toString();
          if (!attributes.isRegularFile()) {
            throw new BundleException("link", file + ": expected a regular file, found a link or device; copy the bundle's files themselves.");
          }
          if (linkCount(file) > 1) {
            throw new BundleException("link", file + ": expected a file of its own, found a hard link; copy the bundle's files themselves.");
          }
          if (found.size() > MOST_FILES) {
            throw new BundleException("large", folder + ": expected at most " + MOST_FILES + " files, found more; check that this is a bundle.");
          }
          found.add(name);
          return FileVisitResult.CONTINUE;
        }
      });
    } catch (IOException e) {
      throw unreadable(folder, e);
    }
    found.remove(MANIFEST);
    found.remove(SIGNATURE);
    for (String name : listed) {
      if (!found.remove(name)) {
        throw new BundleException("missing", folder.resolve(name) + ": " + MANIFEST + " lists it, the folder lacks it; copy the bundle again.");
      }
    }
    if (!found.isEmpty()) {
      throw new BundleException("surplus", folder.resolve(found.iterator().next()) + ": " + MANIFEST + " does not list it; remove it from the bundle.");
    }
  }

  private static int linkCount(Path file) throws IOException {
    try {
      return (Integer) Files.getAttribute(file, "unix:nlink", LinkOption.NOFOLLOW_LINKS);
    } catch (UnsupportedOperationException notUnix) {
      return 1;
    }
  }

  private static byte[] read(Path file, long most) {
    try {
      BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      if (!attributes.isRegularFile()) { // reading a pipe would wait for ever
        throw new BundleException("link", file + ": expected a regular file, found a link, folder or device; copy the bundle's files themselves.");
      }
      long size = attributes.size();
      if (size > most) {
        throw new BundleException("changed", file + ": expected at most " + most + " bytes, found " + size + "; copy the bundle again.");
      }
      return Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new BundleException("missing", file + ": no such file; copy the bundle again.", e);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private static BundleException unreadable(Path path, IOException e) {
    return new BundleException("unreadable", path + ": cannot be read (" + e.getMessage() + "); check its permissions.", e);
  }

  static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
