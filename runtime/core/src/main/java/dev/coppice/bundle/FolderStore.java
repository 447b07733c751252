package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleStore;
import dev.coppice.api.InstallOption;
import dev.coppice.api.InstalledBundle;
import dev.coppice.api.NativeException;
import dev.coppice.api.Trust;
import dev.coppice.api.Version;
import dev.coppice.bundle.BundleHome.Link;
import dev.coppice.ops.Sha256;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;

/** A store in a folder; docs/reference/bundle.md shows its files. */
public final class FolderStore implements BundleStore {

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
    T make(BundleHome home) throws IOException;
  }

  @Override
  public InstalledBundle install(Path source, InstallOption... options) {
    List<InstallOption> asked = List.of(Objects.requireNonNull(options, "options"));
    BundleFiles files = new BundleFiles(Objects.requireNonNull(source, "source"), trust);
    Manifest manifest = files.manifest();
    return change(manifest.name(), true, home -> {
      if (!asked.contains(InstallOption.ALLOW_OLDER)) {
        requireNoOlder(manifest.version(), home, files.place(BundleFiles.MANIFEST));
      }
      Path version = home.versionsFolder().resolve(manifest.version() + "-" + Sha256.of(files.document()).substring(0, 12));
      disk.delete(home.unfinished());
      if (!Files.isDirectory(version, LinkOption.NOFOLLOW_LINKS)) {
        add(files, home.unfinished(), version);
      } else {
        selfTest.accept(version); // it may have been damaged since
      }
      Optional<Path> before = home.target(Link.CURRENT);
      if (!before.equals(Optional.of(version))) {
        if (before.isPresent()) {
          home.point(Link.PREVIOUS, before.get());
        }
        home.point(Link.CURRENT, version);
      }
      return found(home, version);
    });
  }

  private static void requireNoOlder(Version version, BundleHome home, Path place) throws IOException {
    Optional<Path> current = home.target(Link.CURRENT);
    if (current.isEmpty()) {
      return;
    }
    // By its name, as a new version must be able to take the place of a damaged one.
    Version installed = Version.parse(current.get().getFileName().toString().replaceFirst("-[0-9a-f]{12}$", ""));
    if (version.compareTo(installed) < 0) {
      throw new BundleException("old", place + ": expected version " + installed + " or newer, as that is installed, found " + version
          + "; use a newer bundle, or allow an older version.");
    }
  }

  /** A version appears when its copy is complete and tested, and otherwise leaves nothing. */
  private void add(BundleFiles files, Path copy, Path version) throws IOException {
    try {
      copy(files, copy);
      selfTest.accept(copy);
      disk.rename(copy, version);
    } catch (IOException | RuntimeException e) {
      disk.discard(copy, e);
      throw e;
    }
  }

  private void copy(BundleFiles files, Path to) throws IOException {
    Set<Path> folders = new TreeSet<>(Set.of(to));
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
  }

  @Override
  public InstalledBundle rollback(String name) {
    return change(name, false, home -> {
      Optional<Path> now = home.target(Link.CURRENT);
      Path back = home.target(Link.PREVIOUS).filter(version -> !now.equals(Optional.of(version)))
          .orElseThrow(() -> new BundleException("missing", home.folder() + ": expected a version before the current one, found none; install one."));
      selfTest.accept(back);
      home.point(Link.CURRENT, back);
      if (now.isPresent()) {
        home.point(Link.PREVIOUS, now.get());
      }
      return found(home, back);
    });
  }

  @Override
  public Path current(String name) {
    BundleHome home = home(name);
    try {
      if (home.target(Link.CURRENT).isEmpty()) {
        throw missing(home, name);
      }
    } catch (IOException e) {
      throw failure(home.folder(), e);
    }
    return home.path(Link.CURRENT);
  }

  @Override
  public List<InstalledBundle> list() {
    List<InstalledBundle> all = new ArrayList<>();
    try {
      for (Path folder : BundleHome.folders(root)) {
        BundleHome home = new BundleHome(folder, disk);
        for (Path version : home.versions()) {
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
      disk.delete(home.unfinished());
      List<Optional<Path>> needed = List.of(home.target(Link.CURRENT), home.target(Link.PREVIOUS));
      int deleted = 0;
      for (Path version : home.versions()) {
        if (!needed.contains(Optional.of(version))) {
          // Under another name first: half a version must not be taken for a whole one.
          disk.rename(version, home.unfinished());
          disk.delete(home.unfinished());
          deleted++;
        }
      }
      return deleted;
    });
  }

  private <T> T change(String name, boolean create, Change<T> change) {
    BundleHome home = home(name);
    try {
      if (create) {
        disk.folder(home.versionsFolder());
      } else if (!Files.isDirectory(home.folder())) {
        throw missing(home, name);
      }
      synchronized (THREADS) {
        try (FileChannel lock = FileChannel.open(home.folder().resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
          lock.lock(); // let go when the channel closes
          return change.make(home);
        }
      }
    } catch (IOException e) {
      throw failure(home.folder(), e);
    }
  }

  private static BundleException missing(BundleHome home, String name) {
    return new BundleException("missing", home.folder() + ": no bundle \"" + name + "\" is installed; install one.");
  }

  private static NativeException failure(Path path, IOException e) {
    return new NativeException("store", path + ": the store cannot be read or changed (" + e + "); what is current is complete, the old or the new version. "
        + "Check space and permissions.", e);
  }

  private BundleHome home(String name) {
    if (!Objects.requireNonNull(name, "name").matches(Manifest.NAME)) {
      throw new IllegalArgumentException("name must match " + Manifest.NAME + ": " + name);
    }
    return new BundleHome(root.resolve(name), disk);
  }

  /** What a version's manifest says; its files have been verified by who asks. */
  private static InstalledBundle found(BundleHome home, Path version) throws IOException {
    Manifest manifest = new BundleFiles(version, Trust.off()).manifest();
    return new InstalledBundle(manifest.name(), manifest.version().toString(), version, home.means(Link.CURRENT, version), home.means(Link.PREVIOUS, version));
  }
}
