package dev.coppice.bundle;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotLinkException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** The folder of one bundle in a store: its versions, and the links that say which of them counts. */
record BundleHome(Path folder, Disk disk) {

  /** A link that readers follow. */
  enum Link {
    CURRENT("current"), PREVIOUS("previous");

    private final String file;

    Link(String file) {
      this.file = file;
    }
  }

  /** What a version is before it is whole, and while it is deleted. */
  Path unfinished() {
    return folder.resolve(".unfinished");
  }

  Path versionsFolder() {
    return folder.resolve("versions");
  }

  /** Oldest installation first. */
  List<Path> versions() throws IOException {
    List<Path> versions = folders(versionsFolder());
    versions.sort(Comparator.comparing(version -> version.toFile().lastModified()));
    return versions;
  }

  /** The folders in a folder, by name; none if it is missing. */
  static List<Path> folders(Path folder) throws IOException {
    try {
      List<Path> found = new ArrayList<>(Disk.entries(folder));
      found.removeIf(entry -> !Files.isDirectory(entry));
      found.sort(null);
      return found;
    } catch (NoSuchFileException none) {
      return new ArrayList<>();
    }
  }

  Path path(Link link) {
    return folder.resolve(link.file);
  }

  /** The version that a link means, if there is one. A link that cannot be read is an error: what no link means is deleted. */
  Optional<Path> target(Link link) throws IOException {
    try {
      Path version = folder.resolve(Files.readSymbolicLink(path(link))).normalize();
      return Files.readAttributes(version, BasicFileAttributes.class).isDirectory() ? Optional.of(version) : Optional.empty();
    } catch (NoSuchFileException | NotLinkException none) {
      return Optional.empty();
    }
  }

  boolean means(Link link, Path version) throws IOException {
    return target(link).equals(Optional.of(version));
  }

  /** Replaces a link in one step. */
  void point(Link link, Path version) throws IOException {
    Path made = folder.resolve("." + link.file);
    disk.delete(made);
    try {
      disk.link(made, folder.relativize(version));
      disk.rename(made, path(link));
    } catch (IOException e) {
      disk.discard(made, e);
      throw e;
    }
  }
}
