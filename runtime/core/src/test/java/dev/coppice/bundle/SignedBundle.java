package dev.coppice.bundle;

import dev.coppice.api.Trust;
import dev.coppice.ops.Sha256;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A small bundle that export/tools/make_signed_fixture.py wrote and signed, and a signer for what it would not sign. */
public final class SignedBundle {

  /** The real one; nobody writes here. */
  public static final Path FOLDER = resource("bundle");
  /** The key that signed it. */
  public static final Path KEY = resource("key.pub.pem");

  private static final String TYPE = "application/vnd.in-toto+json";

  private SignedBundle() {}

  /** In the source tree: the tests of another room have these classes in a jar. */
  private static Path resource(String name) {
    return ShippedBundle.FOLDER.resolve("../../../runtime/core/src/test/resources/signed").resolve(name).normalize();
  }

  /** Only bundles of its key. */
  public static Trust trust() {
    return Trust.pinned(Trust.Policy.REQUIRE, KEY);
  }

  /** A copy of it under another version, unsigned. */
  public static Path version(Path folder, String version) throws IOException {
    return version(FOLDER, folder.resolve("small-" + version), version);
  }

  /** A copy of any bundle under another version, unsigned. */
  public static Path version(Path bundle, Path to, String version) throws IOException {
    Path copy = ShippedBundle.copy(bundle, to);
    Files.deleteIfExists(copy.resolve("model.sig"));
    Path manifest = copy.resolve("bundle.json");
    Matcher old = Pattern.compile("\"version\": *\"[^\"]+\"").matcher(Files.readString(manifest));
    if (!old.find()) {
      throw new IllegalArgumentException(manifest + " has no version");
    }
    Files.writeString(manifest, old.replaceFirst("\"version\": \"" + version + "\""));
    return copy;
  }

  /** The files of a folder in memory. */
  static Map<String, byte[]> files(Path folder) {
    try (Stream<Path> walk = Files.walk(folder)) {
      Map<String, byte[]> files = new TreeMap<>();
      for (Path file : walk.filter(Files::isRegularFile).toList()) {
        files.put(folder.relativize(file).toString(), Files.readAllBytes(file));
      }
      return files;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A bundle in memory. */
  static Source source(Map<String, byte[]> files) {
    return new Source() {
      @Override
      public Set<String> names() {
        return files.keySet();
      }

      @Override
      public byte[] read(String name, long most) {
        return files.get(name);
      }

      @Override
      public void read(String name, ByteBuffer into) {
        into.put(files.get(name));
      }

      @Override
      public Path place(String name) {
        return Path.of(name);
      }
    };
  }

  static KeyPair key(String curve) throws GeneralSecurityException {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec(curve));
    return generator.generateKeyPair();
  }

  static Trust trust(KeyPair key) {
    return new Trust(Trust.Policy.REQUIRE, List.of((ECPublicKey) key.getPublic()), Optional.empty());
  }

  static String pem(KeyPair key) {
    return "-----BEGIN PUBLIC KEY-----\n" + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key.getPublic().getEncoded())
        + "\n-----END PUBLIC KEY-----\n";
  }

  /** The statement about a folder's files as they are. */
  static String statement(Path folder) {
    Map<String, byte[]> files = files(folder);
    files.remove("model.sig");
    StringBuilder digests = new StringBuilder();
    String resources = files.entrySet().stream().map(file -> {
      String digest = Sha256.of(file.getValue());
      digests.append(digest);
      return "{\"name\":\"" + file.getKey() + "\",\"algorithm\":\"sha256\",\"digest\":\"" + digest + "\"}";
    }).collect(Collectors.joining(","));
    return "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"bundle\",\"digest\":{\"sha256\":\""
        + Sha256.of(HexFormat.of().parseHex(digests)) + "\"}}],\"predicateType\":\"https://model_signing/signature/v1.0\","
        + "\"predicate\":{\"serialization\":{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":false,\"ignore_paths\":[\"model.sig\"]},"
        + "\"resources\":[" + resources + "]}}";
  }

  /** A file {@code model.sig} with this statement, signed right. */
  static String signature(String statement, KeyPair key) throws GeneralSecurityException {
    return signature(statement.getBytes(StandardCharsets.UTF_8), key);
  }

  static String signature(byte[] payload, KeyPair key) throws GeneralSecurityException {
    Signature signer = Signature.getInstance("SHA256withECDSA");
    signer.initSign(key.getPrivate());
    signer.update(("DSSEv1 " + TYPE.length() + " " + TYPE + " " + payload.length + " ").getBytes(StandardCharsets.UTF_8));
    signer.update(payload);
    return document(payload, signer.sign(), dev.coppice.bundle.Signature.hint((ECPublicKey) key.getPublic()));
  }

  static String document(byte[] payload, byte[] value, String hint) {
    Base64.Encoder base64 = Base64.getEncoder();
    return "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{\"publicKey\":{\"hint\":\"" + hint
        + "\"},\"tlogEntries\":[]},\"dsseEnvelope\":{\"payload\":\"" + base64.encodeToString(payload) + "\",\"payloadType\":\"" + TYPE
        + "\",\"signatures\":[{\"sig\":\"" + base64.encodeToString(value) + "\",\"keyid\":\"\"}]}}";
  }

  /** Signs a folder as it is. */
  static void sign(Path folder, KeyPair key) throws IOException, GeneralSecurityException {
    Files.writeString(folder.resolve("model.sig"), signature(statement(folder), key));
  }
}
