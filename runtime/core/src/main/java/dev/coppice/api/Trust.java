package dev.coppice.api;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * Whose bundles may be opened.
 *
 * @param policy what happens to a bundle that none of the keys has signed
 * @param keys pinned ECDSA P-256 keys, any of which may have signed; at least one unless the policy is {@code OFF}
 * @param minVersion the oldest version that may be opened, so that nobody brings back an old fault with its old signature
 */
public record Trust(Policy policy, List<ECPublicKey> keys, Optional<Version> minVersion) {

  /** What happens to a bundle without a signature of a pinned key. */
  public enum Policy {
    /** It is refused. */
    REQUIRE,
    /** A warning is logged, and it is opened. */
    WARN,
    /** Nobody looks. */
    OFF
  }

  private static final Trust OFF = new Trust(Policy.OFF, List.of(), Optional.empty());
  private static final int MOST_PEM_BYTES = 4096;
  private static final String HEAD = "-----BEGIN PUBLIC KEY-----";
  private static final String TAIL = "-----END PUBLIC KEY-----";

  /** Checks that there is a key where one is needed, and that all are of curve P-256. */
  public Trust {
    Objects.requireNonNull(policy, "policy");
    Objects.requireNonNull(minVersion, "minVersion");
    keys = List.copyOf(Objects.requireNonNull(keys, "keys"));
    if (policy != Policy.OFF && keys.isEmpty()) {
      throw new IllegalArgumentException("keys must hold at least one public key for policy " + policy + ": none");
    }
    for (ECPublicKey key : keys) {
      if (!isP256(key)) {
        throw new IllegalArgumentException("keys must be of curve P-256: " + key.getParams());
      }
    }
  }

  /** Signatures are not looked at: damage is found, malice is not. */
  public static Trust off() {
    return OFF;
  }

  /**
   * The public keys in PEM files, or in all files {@code *.pem} of folders.
   *
   * @throws IllegalArgumentException if a file is no PEM of an ECDSA P-256 public key, or a folder holds none
   */
  public static Trust pinned(Policy policy, Path... pems) {
    Objects.requireNonNull(policy, "policy");
    List<ECPublicKey> keys = new ArrayList<>();
    for (Path pem : Objects.requireNonNull(pems, "pems")) {
      try {
        if (!Files.isDirectory(pem)) {
          keys.add(key(pem));
          continue;
        }
        int before = keys.size();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(pem, "*.pem")) {
          for (Path file : files) {
            keys.add(key(file));
          }
        }
        if (keys.size() == before) {
          throw new IllegalArgumentException(pem + ": expected public keys in files *.pem, found none; put one there.");
        }
      } catch (IOException e) {
        throw new IllegalArgumentException(pem + ": the public key cannot be read (" + e + "); check the path.", e);
      }
    }
    return new Trust(policy, keys, Optional.empty());
  }

  /** The same with an oldest version. */
  public Trust withMinVersion(Version newMinVersion) {
    return new Trust(policy, keys, Optional.of(Objects.requireNonNull(newMinVersion, "newMinVersion")));
  }

  private static boolean isP256(ECPublicKey key) {
    try {
      AlgorithmParameters p256 = AlgorithmParameters.getInstance("EC");
      p256.init(new ECGenParameterSpec("secp256r1"));
      return key.getParams().getCurve().equals(p256.getParameterSpec(ECParameterSpec.class).getCurve());
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every Java knows P-256", e);
    }
  }

  private static ECPublicKey key(Path pem) throws IOException {
    String text = "";
    if (Files.size(pem) <= MOST_PEM_BYTES) {
      text = new String(Files.readAllBytes(pem), StandardCharsets.ISO_8859_1).strip();
    }
    try {
      if (text.startsWith(HEAD) && text.endsWith(TAIL)) {
        byte[] der = Base64.getDecoder().decode(text.substring(HEAD.length(), text.length() - TAIL.length()).replaceAll("\\s", ""));
        if (KeyFactory.getInstance("EC").generatePublic(new X509EncodedKeySpec(der)) instanceof ECPublicKey key
            && isP256(key)) {
          return key;
        }
      }
    } catch (GeneralSecurityException | IllegalArgumentException notThisKey) {
      // said below, with what is expected
    }
    throw new IllegalArgumentException(pem + ": expected the PEM of one ECDSA P-256 public key, found something else; "
        + "make it with `openssl ec -in key.pem -pubout -out key.pub.pem`.");
  }
}
