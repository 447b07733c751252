package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleStore;
import dev.coppice.api.InstallOption;
import dev.coppice.api.InstalledBundle;
import dev.coppice.api.NativeException;
import dev.coppice.api.Trust;
import dev.coppice.api.Version;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;

/** A store in a folder; docs/reference/bundle.md shows its files. */
public final class FolderStore implements BundleStore {

  private static final String CURRENT = "current";
  private static final String PREVIOUS = "previous";
  private static final String UNFINISHED = ".unfinished";
  private static final Object THREADS = new Object(); // the lock of a file holds for the whole process

  private final Path root;
  private final Trust trust;
  private final Consumer<Path> selfTest;
  private final Disk disk;

  /** A store in this folder; selfTest opens a bundle and throws if this machine computes something else than its author saw. */
  public FolderStore(Path root, Trust trust, Consumer<Path> selfTest) {
    this(root, trust, selfTest, new Disk());
  }

  FolderStore(Path root, Trust trust, Consumer<Path> selfTest, Disk disk) {
    this.root = root.toAbsolutePath().normalize();
    this.trust = trust;
    this.selfTest = selfTest;
    this.disk = disk;
  }

  /** Work on one bundle's folder. */
  private interface Change<T> {
    T make(Path home) throws IOException;
  }

  @Override
  public InstalledBundle install(Path source, InstallOption... options) {
    BundleFiles files = new BundleFiles(source, trust);
    Manifest manifest = files.manifest();
    return change(manifest.name(), true, home -> {
      if (!List.of(options).contains(InstallOption.ALLOW_OLDER)) {
        requireNoOlder(manifest.version(), home, files.place(BundleFiles.MANIFEST));
      }
      Path version = home.resolve("versions").resolve(manifest.version() + "-" + BundleFiles.sha256(files.document()).substring(0, 12));
      disk.delete(home.resolve(UNFINISHED));
      if (!Files.isDirectory(version, LinkOption.NOFOLLOW_LINKS)) {
        copy(files, home.resolve(UNFINISHED));
        selfTest.accept(home.resolve(UNFINISHED));
        disk.rename(home.resolve(UNFINISHED), version);
      } else {
        selfTest.accept(version); // it may have been damaged since
      }
      if (!version.equals(target(home, CURRENT))) {
        point(home, PREVIOUS, target(home, CURRENT));
        point(home, CURRENT, version);
      }
      return found(home, version);
    });
  }

  private static void requireNoOlder(Version version, Path home, Path place) {
    Path current = target(home, CURRENT);
    if (current == null) {
      return;
    }
    // By its name, as a new version must be able to take the place of a damaged one.
    Version installed = Version.parse(current.getFileName().toString().replaceFirst("-[0-9a-f]{12}$", ""));
    if (version.compareTo(installed) < 0) {
      throw new BundleException("old", place + ": expected version " + installed + " or newer, as that is installed, found " + version
          + "; use a newer bundle, or allow an older version.");
    }
  }

  private void copy(BundleFiles files, Path to) throws IOException {
    Set<Path> folders = new TreeSet<>(Set.of(to));
    try {
      disk.folder(to);
      for (String name : files.manifest().files().keySet()) {
        Path file = to.resolve(name);
        if (!Files.isDirectory(file.getParent())) {
          disk.folder(file.getParent());
        }
        folders.add(file.getParent());
        disk.write(file, files.verified(name));
      }
      Optional<byte[]> signature = files.signature();
      if (signature.isPresent()) {
        disk.write(to.resolve(BundleFiles.SIGNATURE), signature.get());
      }
      disk.write(to.resolve(BundleFiles.MANIFEST), files.document());
      for (Path folder : folders) { // a file is there for good when its folder says so
        disk.sync(folder);
      }
    } catch (IOException | RuntimeException e) {
      disk.delete(to);
      throw e;
    }
  }

  @Override
  public InstalledBundle rollback(String name) {
    return change(name, false, home -> {
      Path back = target(home, PREVIOUS);
      Path now = target(home, CURRENT);
      if (back == null || back.equals(now)) {
        throw new BundleException("missing", home + ": expected a version before the current one, found none; install one.");
      }
      selfTest.accept(back);
      point(home, CURRENT, back);
      point(home, PREVIOUS, now);
      return found(home, back);
    });
  }

  @Override
  public Path current(String name) {
    Path home = home(name);
    if (target(home, CURRENT) == null) {
      throw new BundleException("missing", home + ": no bundle \"" + name + "\" is installed; install one.");
    }
    return home.resolve(CURRENT);
  }

  @Override
  public List<InstalledBundle> list() {
    List<InstalledBundle> all = new ArrayList<>();
    try {
      for (Path home : entries(root)) {
        for (Path version : versions(home)) {
          Bundle.read(version, Trust.off()); // a damaged one is said, not listed
          all.add(found(home, version));
        }
      }
    } catch (IOException e) {
      throw failure(root, e);
    }
    return all;
  }

  @Override
  public int collect(String name) {
    return change(name, false, home -> {
      disk.delete(home.resolve(UNFINISHED));
      List<Path> needed = Arrays.asList(target(home, CURRENT), target(home, PREVIOUS)); // null where there is none
      int deleted = 0;
      for (Path version : versions(home)) {
        if (!needed.contains(version)) {
          // Under another name first: half a version must not be taken for a whole one.
          disk.rename(version, home.resolve(UNFINISHED));
          disk.delete(home.resolve(UNFINISHED));
          deleted++;
        }
      }
      return deleted;
    });
  }

  private <T> T change(String name, boolean create, Change<T> change) {
    Path home = home(name);
    try {
      if (create) {
        disk.folder(home.resolve("versions"));
      } else if (!Files.isDirectory(home)) {
        throw new BundleException("missing", home + ": no bundle \"" + name + "\" is installed; install one.");
      }
      synchronized (THREADS) {
        try (FileChannel lock = FileChannel.open(home.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
          lock.lock(); // let go when the channel closes
          return change.make(home);
        }
      }
    } catch (IOException e) {
      throw failure(home, e);
    }
  }

  private static NativeException failure(Path path, IOException e) {
    return new NativeException("store", path + ": the store cannot be changed (" + e + "); nothing that was installed has changed. Check space and permissions.", e);
  }

  private Path home(String name) {
    if (!name.matches(Manifest.NAME)) {
      throw new IllegalArgumentException("name must match " + Manifest.NAME + ": " + name);
    }
    return root.resolve(name);
  }

  /** Replaces a link in one step. */
  private void point(Path home, String link, Path version) throws IOException {
    if (version != null) {
      Path made = home.resolve("." + link);
      disk.delete(made);
      disk.link(made, home.relativize(version));
      disk.rename(made, home.resolve(link));
    }
  }

  /** The version that a link means; null if there is none. */
  private static Path target(Path home, String link) {
    try {
      Path version = home.resolve(Files.readSymbolicLink(home.resolve(link))).normalize();
      return Files.isDirectory(version) ? version : null;
    } catch (IOException | UnsupportedOperationException none) {
      return null;
    }
  }

  private static List<Path> versions(Path home) throws IOException {
    List<Path> versions = entries(home.resolve("versions"));
    versions.sort(Comparator.comparing(version -> version.toFile().lastModified()));
    return versions;
  }

  private static List<Path> entries(Path folder) throws IOException {
    List<Path> found = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, Files::isDirectory)) {
        entries.forEach(found::add);
      }
    }
    found.sort(null);
    return found;
  }

  /** What a version's manifest says; its files have been verified by who asks. */
  private static InstalledBundle found(Path home, Path version) {
    Manifest manifest = new BundleFiles(version, Trust.off()).manifest();
    return new InstalledBundle(manifest.name(), manifest.version().toString(), version, version.equals(target(home, CURRENT)), version.equals(target(home, PREVIOUS)));
  }
}
