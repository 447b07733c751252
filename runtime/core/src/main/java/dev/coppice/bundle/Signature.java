package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import dev.coppice.ops.Sha256;
import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.interfaces.ECPublicKey;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;

/**
 * An OpenSSF Model Signing 1.0 signature by a key: a Sigstore bundle around a DSSE envelope around an in-toto statement
 * that lists every file with its SHA-256. Source: github.com/ossf/model-signing-spec.
 *
 * @param hint names the key, as the SHA-256 of its PEM; empty if the signer did not say
 * @param payload the bytes of the statement
 * @param value r and s of ECDSA over SHA-256 in DER
 */
record Signature(String file, String hint, byte[] payload, byte[] value) {

  private static final int LONGEST = 1 << 20;
  private static final String BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
  private static final String PAYLOAD = "application/vnd.in-toto+json";
  private static final String STATEMENT = "https://in-toto.io/Statement/v1";
  private static final String PREDICATE = "https://model_signing/signature/v1.0";

  /** Reads a signature, strictly: nothing in it may be changed without being noticed. */
  static Signature parse(String file, byte[] document) {
    return refusing(() -> {
      Json json = Json.parse(file, document, LONGEST);
      require(file, "mediaType", BUNDLE, json.text("mediaType"));
      Json material = json.object("verificationMaterial");
      Json key = material.object("publicKey");
      String hint = key.has("hint") ? key.text("hint") : "";
      if (!hint.matches("([0-9a-f]{64})?")) {
        require(file, "hint", "64 hexadecimal digits", hint);
      }
      key.end();
      if (material.has("tlogEntries") && !material.objects("tlogEntries").isEmpty()) {
        throw new BundleException("signature", file + ": expected a signature by a key, found one with entries of a transparency log; sign with a key.");
      }
      material.end();
      Json envelope = json.object("dsseEnvelope");
      byte[] payload = base64(file, "payload", envelope.text("payload"));
      require(file, "payloadType", PAYLOAD, envelope.text("payloadType"));
      List<Json> signatures = envelope.objects("signatures");
      require(file, "signatures", "1", String.valueOf(signatures.size()));
      Json signature = signatures.get(0);
      byte[] value = base64(file, "sig", signature.text("sig"));
      if (signature.has("keyid")) {
        require(file, "keyid", "", signature.text("keyid"));
      }
      signature.end();
      envelope.end();
      json.end();
      return new Signature(file, hint, payload, value);
    });
  }

  /** The signed files with their SHA-256 in hexadecimal digits; refused unless one of the keys has signed. */
  Map<String, String> files(List<ECPublicKey> keys) {
    if (keys.stream().noneMatch(this::isBy)) {
      throw new BundleException("signature", file + ": expected a signature by a pinned key (" + String.join(", ", keys.stream().map(Signature::hint).toList())
          + "), found none that is right, " + (hint.isEmpty() ? "by an unnamed key" : "by " + hint) + "; do not use this bundle unless you pin the key of its author.");
    }
    return refusing(this::statement);
  }

  private boolean isBy(ECPublicKey key) {
    if (!hint.isEmpty() && !hint.equals(hint(key)) || !inRange(key.getParams().getOrder())) {
      return false;
    }
    try {
      java.security.Signature verifier = java.security.Signature.getInstance("SHA256withECDSA");
      verifier.initVerify(key);
      verifier.update(("DSSEv1 " + PAYLOAD.length() + " " + PAYLOAD + " " + payload.length + " ").getBytes(StandardCharsets.US_ASCII));
      verifier.update(payload);
      return verifier.verify(value);
    } catch (GeneralSecurityException notEvenASignature) {
      return false;
    }
  }

  /** Whether r and s are of 1..order-1 and nothing else is there: Java before 17.0.3 took zeros for right (CVE-2022-21449). */
  private boolean inRange(BigInteger order) {
    int r = value.length > 3 ? value[3] : 0;
    int s = r > 0 && value.length > 5 + r ? value[5 + r] : 0;
    if (s <= 0 || value.length != 6 + r + s || value[0] != 0x30 || value[1] != 4 + r + s || value[2] != 2 || value[4 + r] != 2) {
      return false;
    }
    BigInteger first = new BigInteger(value, 4, r);
    BigInteger second = new BigInteger(value, 6 + r, s);
    return first.signum() > 0 && first.compareTo(order) < 0 && second.signum() > 0 && second.compareTo(order) < 0;
  }

  private Map<String, String> statement() {
    Json json = Json.parse(file + ": payload", payload);
    require(file, "_type", STATEMENT, json.text("_type"));
    require(file, "predicateType", PREDICATE, json.text("predicateType"));
    List<Json> subjects = json.objects("subject");
    require(file, "subject", "1", String.valueOf(subjects.size()));
    Json predicate = json.object("predicate");
    Json serialization = predicate.object("serialization");
    require(file, "method", "files", serialization.text("method"));
    require(file, "hash_type", "sha256", serialization.text("hash_type"));
    Map<String, String> files = new TreeMap<>();
    ByteArrayOutputStream digests = new ByteArrayOutputStream();
    for (Json resource : predicate.objects("resources")) {
      require(file, "algorithm", "sha256", resource.text("algorithm"));
      String digest = resource.text("digest");
      if (!digest.matches("[0-9a-f]{64}") || files.put(resource.text("name"), digest) != null) {
        throw new BundleException("signature", file + ": resources: expected each file once with its SHA-256, found " + digest + " or a name twice; sign the bundle again.");
      }
      digests.writeBytes(HexFormat.of().parseHex(digest));
    }
    require(file, "subject: digest", Sha256.of(digests.toByteArray()), subjects.get(0).object("digest").text("sha256"));
    return files;
  }

  /** How signers name a key: the SHA-256 of its PEM. */
  static String hint(ECPublicKey key) {
    String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key.getEncoded());
    return Sha256.of(("-----BEGIN PUBLIC KEY-----\n" + body + "\n-----END PUBLIC KEY-----\n").getBytes(StandardCharsets.US_ASCII));
  }

  private static byte[] base64(String file, String key, String text) {
    try {
      byte[] bytes = Base64.getDecoder().decode(text);
      if (Base64.getEncoder().encodeToString(bytes).equals(text)) { // the last digit may carry bits that mean nothing
        return bytes;
      }
    } catch (IllegalArgumentException e) {
      // said below
    }
    throw new BundleException("signature", file + ": " + key + ": expected base64, found something else; sign the bundle again.");
  }

  private static void require(String file, String key, String expected, String found) {
    if (!found.equals(expected)) {
      throw new BundleException("signature", file + ": " + key + ": expected \"" + expected + "\", found " + Json.shortened(found) + "; sign the bundle again.");
    }
  }

  /** What the JSON reader says of a manifest is here said of a signature. */
  private static <T> T refusing(Supplier<T> reading) {
    try {
      return reading.get();
    } catch (BundleException e) {
      throw new BundleException("signature", e.getMessage().replace("export the bundle again", "sign the bundle again"), e);
    }
  }
}
