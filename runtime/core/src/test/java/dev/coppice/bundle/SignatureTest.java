package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.coppice.api.BundleException;
import dev.coppice.api.Trust;
import dev.coppice.api.Version;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.interfaces.ECPublicKey;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Signatures that `coppice-export sign` made, and others that it would never make. */
final class SignatureTest {

  @TempDir private Path folder;
  private Path copy;
  private KeyPair key;

  @BeforeEach
  void prepare() throws Exception {
    copy = ShippedBundle.copy(SignedBundle.FOLDER, folder.resolve("copy"));
    key = SignedBundle.key("secp256r1");
  }

  @Test
  void shouldTrustWhatTheExportSigned() {
    assertThat(Bundle.read(copy, SignedBundle.trust()).info().name()).isEqualTo("small");
  }

  @Test
  @Tag("build-machine")
  void shouldSignInTestsAsTheStandardSays() throws Exception {
    Path python = ShippedBundle.FOLDER.resolve("../../../target/venv/bin/python").normalize();
    assumeTrue(Files.exists(python), "the project's Python is not set up");
    SignedBundle.sign(copy, key);
    Path pem = Files.writeString(folder.resolve("key.pub.pem"), SignedBundle.pem(key));
    Process verifier = new ProcessBuilder(python.toString(), "-m", "model_signing", "verify", "key", copy.toString(), "--signature",
        copy.resolve("model.sig").toString(), "--public_key", pem.toString(), "--no-ignore-git-paths").redirectErrorStream(true).start();
    String said = new String(verifier.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assumeFalse(said.contains("No module named"), "model-signing is not installed");
    assertThat(verifier.waitFor()).as(said).isZero();
    assertThat(Bundle.read(copy, SignedBundle.trust(key)).info().name()).isEqualTo("small");
  }

  @Test
  void shouldRefuseTheSignatureOfAnotherKey() {
    assertRefused(SignedBundle.trust(key), "bundle.signature", "expected a signature by a pinned key (" + Signature.hint((ECPublicKey) key.getPublic())
        + "), found none that is right, by ");
  }

  @Test
  void shouldTrustAnyOfSeveralKeys() {
    List<ECPublicKey> keys = List.of((ECPublicKey) key.getPublic(), SignedBundle.trust().keys().get(0));
    assertThat(Bundle.read(copy, new Trust(Trust.Policy.REQUIRE, keys, Optional.empty())).info().name()).isEqualTo("small");
  }

  @Test
  void shouldRefuseAKeyThatOnlyClaimsItsName() throws Exception {
    String forged = SignedBundle.signature(SignedBundle.statement(copy), key).replaceFirst("\"hint\":\"[^\"]*", "\"hint\":\""
        + Signature.hint(SignedBundle.trust().keys().get(0)));
    Files.writeString(copy.resolve("model.sig"), forged);
    assertRefused(SignedBundle.trust(), "bundle.signature", "found none that is right");
  }

  @Test
  void shouldRefuseAnUnsignedBundleOnlyWhereASignatureIsRequired() throws IOException {
    Files.delete(copy.resolve("model.sig"));
    assertRefused(SignedBundle.trust(), "bundle.unsigned", "expected a signature by a pinned key, found no such file");
    assertThat(Bundle.read(copy, Trust.pinned(Trust.Policy.WARN, SignedBundle.KEY)).info().name()).isEqualTo("small");
    assertThat(Bundle.read(copy, Trust.off()).info().name()).isEqualTo("small");
  }

  @Test
  void shouldRefuseAManifestThatWasNotSigned() throws IOException {
    Path manifest = copy.resolve("bundle.json");
    Files.writeString(manifest, Files.readString(manifest).replace("70.5", "99.5"));
    assertThat(Bundle.read(copy, Trust.off()).info().name()).isEqualTo("small");
    assertRefused(SignedBundle.trust(), "bundle.signature", manifest + ": expected the file that was signed, found another or none");
  }

  @Test
  void shouldRefuseAFileThatWasReplacedInTheManifestToo() throws IOException {
    ShippedBundle.replace(copy, "README.md", "mine".getBytes(StandardCharsets.UTF_8));
    assertRefused(SignedBundle.trust(), "bundle.signature", "README.md: expected the file that was signed");
  }

  @Test
  void shouldRefuseAFileThatOnlyTheSignatureKnows() throws Exception {
    Files.writeString(copy.resolve("extra"), "x");
    String signature = SignedBundle.signature(SignedBundle.statement(copy), key);
    Files.delete(copy.resolve("extra"));
    Files.writeString(copy.resolve("model.sig"), signature);
    assertRefused(SignedBundle.trust(key), "bundle.signature", copy.resolve("extra") + ": expected the file that was signed, found another or none");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
    "'algorithm':'sha256' | 'algorithm':'blake2b' | algorithm: expected 'sha256', found 'blake2b'",
    "'method':'files' | 'method':'shards' | method: expected 'files', found 'shards'",
    "/Statement/v1' | /Statement/v0' | _type: expected 'https://in-toto.io/Statement/v1', found",
    "signature/v1.0' | signature/v2.0' | predicateType: expected",
    "'sha256':' | 'sha256':'0 | subject: digest: expected",
    "'name':'README.md' | 'name':'LICENSE' | resources: expected each file once with its SHA-256",
    "{'_type' | {'_type':1,'_type' | Duplicate field",
  })
  void shouldRefuseAnotherStatementThoughItIsSigned(String passage, String other, String sentence) throws Exception {
    String statement = SignedBundle.statement(copy);
    assertThat(statement).contains(quotes(passage));
    Files.writeString(copy.resolve("model.sig"), SignedBundle.signature(statement.replace(quotes(passage), quotes(other)), key));
    assertRefused(SignedBundle.trust(key), "bundle.signature", quotes(sentence));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
    "'signatures':[ | 'signatures':[{'sig':'','keyid':''}, | signatures: expected '1', found '2'",
    "bundle.v0.3 | bundle.v0.4 | mediaType: expected",
    "'tlogEntries':[] | 'tlogEntries':[{}] | expected a signature by a key, found one with entries of a transparency log",
    "in-toto+json | in-toto+yaml | payloadType: expected",
    "'keyid':'' | 'keyid':'a' | keyid: expected",
    "'payload':' | 'payload':'* | payload: expected base64",
    "{'mediaType | {'more':1,'mediaType | unknown key 'more'",
  })
  void shouldRefuseAnotherEnvelope(String passage, String other, String sentence) throws Exception {
    SignedBundle.sign(copy, key);
    String signature = Files.readString(copy.resolve("model.sig"));
    assertThat(signature).contains(quotes(passage));
    Files.writeString(copy.resolve("model.sig"), signature.replace(quotes(passage), quotes(other)));
    assertRefused(SignedBundle.trust(key), "bundle.signature", quotes(sentence));
  }

  @Test
  void shouldRefuseNumbersThatFitEveryKey() throws Exception {
    BigInteger order = ((ECPublicKey) key.getPublic()).getParams().getOrder();
    for (BigInteger number : List.of(BigInteger.ZERO, order)) { // CVE-2022-21449
      byte[] value = der(number);
      String hint = Signature.hint((ECPublicKey) key.getPublic());
      Files.writeString(copy.resolve("model.sig"), SignedBundle.document(SignedBundle.statement(copy).getBytes(StandardCharsets.UTF_8), value, hint));
      assertRefused(SignedBundle.trust(key), "bundle.signature", "found none that is right");
    }
  }

  private static byte[] der(BigInteger number) {
    byte[] bytes = number.toByteArray();
    byte[] out = new byte[6 + 2 * bytes.length];
    out[0] = 0x30;
    out[1] = (byte) (out.length - 2);
    for (int part : new int[] {2, 4 + bytes.length}) {
      out[part] = 2;
      out[part + 1] = (byte) bytes.length;
      System.arraycopy(bytes, 0, out, part + 2, bytes.length);
    }
    return out;
  }

  @ParameterizedTest
  @CsvSource({"1.0.0, true", "0.9.9, true", "1.0.0-rc.1, true", "1.0.1, false", "2.0.0, false"})
  void shouldRefuseAVersionBeforeTheOldestAllowed(String oldest, boolean allowed) {
    Trust trust = SignedBundle.trust().withMinVersion(Version.parse(oldest));
    if (allowed) {
      assertThat(Bundle.read(copy, trust).info().version()).isEqualTo("1.0.0");
    } else {
      assertRefused(trust, "bundle.old", "expected version " + oldest + " or newer, found 1.0.0");
    }
  }

  @Test
  void shouldReadAFolderOfKeys() throws IOException {
    Files.copy(SignedBundle.KEY, folder.resolve("a.pem"));
    Files.writeString(folder.resolve("b.pem"), SignedBundle.pem(key));
    Files.writeString(folder.resolve("notes.txt"), "no key");
    assertThat(Trust.pinned(Trust.Policy.REQUIRE, folder).keys()).hasSize(2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"secp384r1", "private", "text", "empty", "absent"})
  void shouldRefuseWhatIsNoPublicKeyOfP256(String kind) throws GeneralSecurityException, IOException {
    Path pem = folder.resolve("key.pem");
    switch (kind) {
      case "secp384r1" -> Files.writeString(pem, SignedBundle.pem(SignedBundle.key(kind)));
      case "private" -> Files.writeString(pem, SignedBundle.pem(key).replace("PUBLIC", "PRIVATE"));
      case "text" -> Files.writeString(pem, "-----BEGIN PUBLIC KEY-----\n????\n-----END PUBLIC KEY-----");
      case "empty" -> Files.writeString(pem, "");
      default -> { }
    }
    assertThatThrownBy(() -> Trust.pinned(Trust.Policy.REQUIRE, pem)).isInstanceOf(IllegalArgumentException.class).hasMessageStartingWith(pem + ": ");
  }

  @Test
  void shouldRefuseToRequireASignatureWithoutAnyKey() throws IOException {
    assertThatThrownBy(() -> Trust.pinned(Trust.Policy.REQUIRE)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("at least one public key");
    Path empty = Files.createDirectory(folder.resolve("keys"));
    assertThatThrownBy(() -> Trust.pinned(Trust.Policy.REQUIRE, empty)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("found none");
  }

  private void assertRefused(Trust trust, String code, String part) {
    assertThatThrownBy(() -> Bundle.read(copy, trust)).isInstanceOf(BundleException.class).hasMessageContaining(part).extracting("code").isEqualTo(code);
  }

  private static String quotes(String text) {
    return text.replace('\'', '"');
  }
}
