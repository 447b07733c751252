package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.coppice.api.BundleException;
import dev.coppice.api.Trust;
import dev.coppice.ops.Sha256;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.interfaces.ECPublicKey;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever a bundle's files hold: they are read, or refused by one sentence. Each method is a target of `make fuzz-java`. */
final class BundleFuzzTest {

  private static final Map<String, byte[]> FILES = SignedBundle.files(SignedBundle.FOLDER);
  private static KeyPair key;
  private static Path tar;

  /** Reads some bytes. */
  private interface Reading {
    void read() throws IOException, GeneralSecurityException;
  }

  @BeforeAll
  static void prepare() throws Exception {
    key = SignedBundle.key("secp256r1");
    tar = Files.createTempFile("fuzz", ".tar");
  }

  @AfterAll
  static void clean() throws IOException {
    Files.delete(tar);
  }

  private static void orRefused(Reading reading) throws IOException, GeneralSecurityException {
    try {
      reading.read();
    } catch (BundleException refused) {
      assertThat(refused.getMessage()).hasSizeLessThanOrEqualTo(2000).matches("\\P{Cc}*");
    }
  }

  /** The bundle with one file changed as its author would. */
  private static void bundle(String name, byte[] content) throws IOException, GeneralSecurityException {
    Map<String, byte[]> files = new TreeMap<>(FILES);
    files.put(name, content);
    String entry = "\"" + name + "\": {\n      \"bytes\": " + content.length + ",\n      \"sha256\": \"" + Sha256.of(content) + "\"";
    String manifest = new String(FILES.get("bundle.json"), StandardCharsets.UTF_8);
    String changed = manifest.replaceFirst("\"" + name + "\": \\{\\s+\"bytes\": \\d+,\\s+\"sha256\": \"\\w+\"", entry);
    files.put("bundle.json", changed.getBytes(StandardCharsets.UTF_8));
    orRefused(() -> Bundle.read(new BundleFiles(SignedBundle.source(files), Trust.off())));
  }

  static Stream<byte[]> manifests() throws IOException {
    return Stream.of(FILES.get("bundle.json"), Files.readAllBytes(ShippedBundle.FOLDER.resolve("bundle.json")), "{}".getBytes(), "{\"format\":2}".getBytes());
  }

  @MethodSource("manifests")
  @FuzzTest
  void manifest(byte[] data) throws Exception {
    orRefused(() -> Manifest.parse("bundle.json", data));
  }

  static Stream<byte[]> signatures() {
    return Stream.of(FILES.get("model.sig"), "{}".getBytes());
  }

  @MethodSource("signatures")
  @FuzzTest
  void signature(byte[] data) throws Exception {
    orRefused(() -> Signature.parse("model.sig", data).files(List.of((ECPublicKey) key.getPublic())));
  }

  static Stream<byte[]> statements() {
    return Stream.of(SignedBundle.statement(SignedBundle.FOLDER).getBytes(StandardCharsets.UTF_8), "{}".getBytes());
  }

  /** Whatever a trusted key has signed. */
  @MethodSource("statements")
  @FuzzTest
  void statement(byte[] data) throws Exception {
    byte[] document = SignedBundle.signature(data, key).getBytes(StandardCharsets.UTF_8);
    orRefused(() -> Signature.parse("model.sig", document).files(List.of((ECPublicKey) key.getPublic())));
  }

  static Stream<byte[]> tars() {
    byte[] header = TarFile.header('0', "a".getBytes(), 1);
    return Stream.of(TarFile.of("", Map.of("bundle.json", "{}".getBytes())), new TarFile().pax('x', "path=long/name", "size=2").add(header, new byte[2]).end(),
        new TarFile().add('L', "././@LongLink", "name\0".getBytes()).add('5', "folder/", new byte[0]).end());
  }

  @MethodSource("tars")
  @FuzzTest
  void tar(byte[] data) throws Exception {
    Files.write(tar, data);
    try (FileChannel channel = FileChannel.open(tar)) {
      orRefused(() -> {
        for (TarIndex.Entry entry : TarIndex.of(tar, channel).values()) {
          assertThat(TarSource.bytes(channel, entry.offset(), (int) entry.bytes())).hasSize((int) entry.bytes());
        }
      });
    } catch (CharacterCodingException | java.io.EOFException refusedByWhoOpensTheTar) {
      return;
    } catch (IOException e) {
      assertThat(e).hasMessageContaining("bytes early");
    }
  }

  static Stream<byte[]> paxHeaders() {
    return Stream.of("12 path=ab\n10 size=1\n".getBytes(), "30 mtime=1700000000.123456789\n".getBytes(), "0".getBytes());
  }

  @MethodSource("paxHeaders")
  @FuzzTest
  void paxHeader(byte[] data) throws Exception {
    try {
      PaxHeader.parse(data).ifPresent(header -> assertThat(header.bytes().orElse(0)).isNotNegative());
    } catch (CharacterCodingException notUtf8) {
      return;
    }
  }

  static Stream<byte[]> models() {
    return Stream.of(FILES.get("model.onnx"), new Protobuf().with(7, new Protobuf().with(5, new Protobuf().with(1, 4).with(2, 1).with(9, new byte[16]))).bytes());
  }

  @MethodSource("models")
  @FuzzTest
  void model(byte[] data) throws Exception {
    orRefused(() -> OnnxFile.requireSelfContained("model.onnx", java.nio.ByteBuffer.wrap(data)));
  }

  static Stream<byte[]> preprocessings() {
    return Stream.of(FILES.get("preprocessor_config.json"), "{}".getBytes());
  }

  @MethodSource("preprocessings")
  @FuzzTest
  void preprocessing(byte[] data) throws Exception {
    bundle("preprocessor_config.json", data);
  }

  static Stream<byte[]> labels() {
    return Stream.of(FILES.get("config.json"), "{\"id2label\":{}}".getBytes());
  }

  @MethodSource("labels")
  @FuzzTest
  void label(byte[] data) throws Exception {
    bundle("config.json", data);
  }

  static Stream<byte[]> goldens() {
    return Stream.of(FILES.get("golden/0/case.json"), "{}".getBytes());
  }

  @MethodSource("goldens")
  @FuzzTest
  void golden(byte[] data) throws Exception {
    bundle("golden/0/case.json", data);
  }
}
