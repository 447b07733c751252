package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import dev.coppice.api.Trust;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;

/** Versions of a bundle, signed by a key of their own, and stores that trust it. */
final class SignedVersions {

  private final Path bundle;
  private final Path folder;
  private final KeyPair key = SignedBundle.key("secp256r1");
  private final Trust trust = SignedBundle.trust(key);
  private final String name;

  /** Made from a bundle, as they are asked for, in a folder. */
  SignedVersions(Path bundle, Path folder) throws GeneralSecurityException {
    this.bundle = bundle;
    this.folder = folder;
    this.name = new BundleFiles(bundle, Trust.off()).manifest().name();
  }

  String name() {
    return name;
  }

  /** A file with the key that signs them. */
  Path pem() throws IOException {
    return Files.writeString(folder.resolve("key.pub.pem"), SignedBundle.pem(key));
  }

  Path source(String version) throws IOException {
    Path there = folder.resolve(name + "-" + version);
    if (!Files.exists(there)) {
      try {
        SignedBundle.sign(SignedBundle.version(bundle, there, version), key);
      } catch (GeneralSecurityException e) {
        throw new IllegalStateException(e);
      }
    }
    return there;
  }

  FolderStore store(Path root, Disk disk) {
    return new FolderStore(root, trust, version -> Bundle.read(version, trust), disk);
  }

  /** A store as it is before a change. */
  void install(Path root, StoreChange change) throws IOException {
    for (String version : change.installed()) {
      store(root, new Disk()).install(source(version));
    }
  }

  /** The version that is current, verified; "none" if there is none. */
  String current(FolderStore store) {
    Path current;
    try {
      current = store.current(name);
    } catch (BundleException none) {
      return "none";
    }
    return version(current);
  }

  /** The version in a folder, verified. */
  String version(Path there) {
    return Bundle.read(there, trust).info().version();
  }
}
