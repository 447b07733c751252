package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import dev.coppice.api.Trust;
import dev.coppice.ops.Sha256;
import dev.coppice.tensor.Graph;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.slf4j.LoggerFactory;

/** The files of one bundle, verified. What is hashed is what is used: bytes are read once. */
final class BundleFiles {

  static final String MANIFEST = "bundle.json";
  /** Signs the manifest with all that it lists, so the manifest cannot list it. */
  static final String SIGNATURE = "model.sig";
  private static final long MOST_MANIFEST_BYTES = 1 << 20;

  private final Source source;
  private final Set<String> names;
  private final byte[] document;
  private final Manifest manifest;
  private final Optional<byte[]> signature;

  /** Reads and verifies the manifest of a bundle that holds the files it lists and no others, and who signed it. */
  BundleFiles(Path bundle, Trust trust) {
    this(Source.of(bundle), trust);
  }

  BundleFiles(Source source, Trust trust) {
    this.source = source;
    names = source.names();
    document = source.read(MANIFEST, MOST_MANIFEST_BYTES);
    manifest = Manifest.parse(source.place(MANIFEST).toString(), document);
    requireExactly(manifest.files().keySet());
    signature = names.contains(SIGNATURE) ? Optional.of(source.read(SIGNATURE, MOST_MANIFEST_BYTES)) : Optional.empty();
    requireTrust(trust);
  }

  Manifest manifest() {
    return manifest;
  }

  byte[] document() {
    return document;
  }

  Optional<byte[]> signature() {
    return signature;
  }

  Path place(String name) {
    return source.place(name);
  }

  /** What the manifest says of a file. */
  Manifest.FileEntry entry(String name) {
    Manifest.FileEntry entry = manifest.files().get(name);
    if (entry == null) {
      throw new BundleException("missing", place(name) + ": " + MANIFEST + " lists no such file; export the bundle again.");
    }
    return entry;
  }

  /** Reads a file that the manifest lists, and refuses it unless size and hash are the manifest's. */
  byte[] verified(String name) {
    Manifest.FileEntry entry = entry(name);
    byte[] bytes = source.read(name, entry.bytes());
    requireSame(name, entry, ByteBuffer.wrap(bytes));
    return bytes;
  }

  /** The model's graph, read and verified when it is asked for. */
  Graph graph() {
    String name = manifest.modelFile();
    Manifest.FileEntry entry = manifest.files().get(name);
    return new Graph() {
      @Override
      public String sha256() {
        return entry.sha256();
      }

      @Override
      public int bytes() {
        return (int) entry.bytes();
      }

      @Override
      public void read(ByteBuffer into) {
        int from = into.position();
        source.read(name, into);
        ByteBuffer read = into.duplicate().flip().position(from);
        requireSame(name, entry, read.duplicate());
        OnnxFile.requireSelfContained(place(name).toString(), read);
      }
    };
  }

  private void requireSame(String name, Manifest.FileEntry entry, ByteBuffer bytes) {
    int count = bytes.remaining();
    String found = Sha256.of(bytes);
    if (count != entry.bytes() || !found.equals(entry.sha256())) {
      throw new BundleException("changed", place(name) + ": expected " + entry.bytes() + " bytes with SHA-256 " + entry.sha256()
          + ", found " + count + " bytes with " + found + "; copy the bundle again.");
    }
  }

  /** Refuses a bundle that lacks a listed file or holds anything else. */
  private void requireExactly(Set<String> listed) {
    Set<String> surplus = new TreeSet<>(names);
    surplus.remove(MANIFEST);
    surplus.remove(SIGNATURE);
    for (String name : listed) {
      if (!surplus.remove(name)) {
        throw new BundleException("missing", place(name) + ": " + MANIFEST + " lists it, the bundle lacks it; copy the bundle again.");
      }
    }
    if (!surplus.isEmpty()) {
      throw new BundleException("surplus", place(surplus.iterator().next()) + ": " + MANIFEST + " does not list it; remove it from the bundle.");
    }
  }

  private void requireTrust(Trust trust) {
    if (trust.minVersion().isPresent() && manifest.version().compareTo(trust.minVersion().get()) < 0) {
      throw new BundleException("old", place(MANIFEST) + ": expected version " + trust.minVersion().get() + " or newer, found " + manifest.version()
          + "; use a newer bundle, or allow an older version.");
    }
    if (trust.policy() == Trust.Policy.OFF) {
      return;
    }
    try {
      requireSigned(trust);
    } catch (BundleException e) {
      if (trust.policy() == Trust.Policy.REQUIRE) {
        throw e;
      }
      LoggerFactory.getLogger(BundleFiles.class).warn("{} It is used all the same, as the policy is to warn.", e.getMessage());
    }
  }

  /** What is signed are hashes: of the manifest, and of the files as the manifest has them. */
  private void requireSigned(Trust trust) {
    byte[] found = signature.orElseThrow(() -> new BundleException("unsigned", place(SIGNATURE)
        + ": expected a signature by a pinned key, found no such file; sign the bundle, or allow unsigned ones."));
    Map<String, String> here = new TreeMap<>(Map.of(MANIFEST, Sha256.of(document)));
    manifest.files().forEach((name, entry) -> here.put(name, entry.sha256()));
    Map<String, String> signed = Signature.parse(place(SIGNATURE).toString(), found).files(trust.keys());
    if (!signed.equals(here)) {
      Set<String> differing = new TreeSet<>(signed.keySet());
      differing.addAll(here.keySet());
      differing.removeIf(name -> here.containsKey(name) && here.get(name).equals(signed.get(name)));
      throw new BundleException("signature", place(differing.iterator().next())
          + ": expected the file that was signed, found another or none; sign the bundle again, or copy it again.");
    }
  }
}
