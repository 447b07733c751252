package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleException;
import dev.coppice.api.Rung;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each case is the shipped manifest with one passage changed. */
final class ManifestTest {

  @Test
  void shouldReadTheShippedManifest() throws IOException {
    Manifest manifest = parse(ShippedBundle.manifest());
    assertThat(manifest.name()).isEqualTo("imagenette-mini");
    assertThat(manifest.ladder()).extracting(Rung::name).containsExactly("full", "high", "medium", "low", "lowest");
    assertThat(manifest.model().classes()).isEqualTo(10);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
    "'format':1 | 'format':2 | bundle.version | bundle.json: the bundle has format 2, this runtime reads format 1; use a newer Coppice.",
    "'runtime':'0.1.0' | 'runtime':'0.1.1' | bundle.version | Bundle 'imagenette-mini' needs Coppice 0.1.1 or newer, this is 0.1.0; install a newer one.",
    "'runtime':'0.1.0' | 'runtime':'0.10.0' | bundle.version | Bundle 'imagenette-mini' needs Coppice 0.10.0 or newer, this is 0.1.0; install a newer one.",
    "'runtime':'0.1.0' | 'runtime':'1.0.0' | bundle.version | Bundle 'imagenette-mini' needs Coppice 1.0.0 or newer, this is 0.1.0; install a newer one.",
    "'version':1,'used' | 'version':2,'used' | bundle.operator | Bundle 'imagenette-mini' needs operator EncoderBlock version 2,"
        + " this library has version 1; install a newer Coppice, or export for version 1.",
    "'EncoderBlock' | 'TopPTokens' | bundle.operator | Bundle 'imagenette-mini' needs operator dev.coppice.TopPTokens,"
        + " this library has AttentionBlock, EncoderBlock, HallucinatedAttention, ImageToTensor, LinearAttention, "
        + "MergeTokens, MlpBlock, PatchMerger, PruneMergeTokens, SampleTokens, ThresholdTokens, TokenAttention, TokenScores, TopKTokens; install a newer Coppice.",
    "'dev.coppice' | 'com.example' | bundle.operator | Bundle 'imagenette-mini' needs operator com.example.EncoderBlock,"
        + " this library has AttentionBlock, EncoderBlock, HallucinatedAttention, ImageToTensor, LinearAttention, "
        + "MergeTokens, MlpBlock, PatchMerger, PruneMergeTokens, SampleTokens, ThresholdTokens, TokenAttention, TokenScores, TopKTokens; install a newer Coppice.",
  })
  void shouldRefuseWhatThisReleaseDoesNotKnow(String passage, String other, String code, String sentence) throws IOException {
    String manifest = ShippedBundle.manifest(quotes(passage), quotes(other));
    assertThatThrownBy(() -> parse(manifest)).isInstanceOf(BundleException.class).hasMessage(quotes(sentence)).extracting("code").isEqualTo(code);
  }

  @ParameterizedTest
  @ValueSource(strings = {"float32", "float16", "float16-compute", "int8-dynamic", "int8-static"})
  void shouldReadThePrecision(String precision) throws IOException {
    String manifest = ShippedBundle.manifest("\"format\":1", "\"precision\":\"" + precision + "\",\"format\":1");
    assertThat(parse(manifest).precision()).isEqualTo(precision);
  }

  @Test
  void shouldTakeABundleWithoutPrecisionForFloat32() throws IOException {
    assertThat(parse(ShippedBundle.manifest()).precision()).isEqualTo("float32");
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.1.0", "0.0.9", "0.0.999999"})
  void shouldAcceptABundleForAnOlderRuntime(String runtime) throws IOException {
    assertThat(parse(ShippedBundle.manifest("\"runtime\":\"0.1.0\"", "\"runtime\":\"" + runtime + "\"")).name()).isEqualTo("imagenette-mini");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
    "{'format':1 | {'colour':'red','format':1 | bundle.json: unknown key 'colour'; use a newer Coppice, or export the bundle again.",
    "'stages':2 | 'stages':2,'shape':1 | bundle.json: keep: unknown key 'shape'; use a newer Coppice, or export the bundle again.",
    "{'name':'full' | {'watts':4,'name':'full' | bundle.json: ladder[0]: unknown key 'watts'; use a newer Coppice, or export the bundle again.",
    "'bytes':11358 | 'bytes':11358,'mode':1 | bundle.json: files: LICENSE: unknown key 'mode'; use a newer Coppice, or export the bundle again.",
  })
  void shouldRefuseAnUnknownKeyByName(String passage, String other, String sentence) throws IOException {
    assertRefused(ShippedBundle.manifest(quotes(passage), quotes(other)), quotes(sentence));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
    "{'format':1 | {'format':1,'format':1 | Duplicate field 'format'",
    "'stages':2 | 'stages':2,'stages':2 | Duplicate field 'stages'",
    "'LICENSE':{ | 'LICENSE':{'bytes':1},'LICENSE':{ | Duplicate field 'LICENSE'",
  })
  void shouldRefuseARepeatedKeyByName(String passage, String other, String part) throws IOException {
    String manifest = ShippedBundle.manifest(quotes(passage), quotes(other));
    assertThatThrownBy(() -> parse(manifest)).isInstanceOf(BundleException.class).hasMessageContaining(part);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
    "'model':'model.onnx', | `` | model: expected a text, found nothing",
    "'format':1 | 'precision':'int4','format':1 | precision: expected one of float16, float16-compute, float32, int8-dynamic, int8-static, found int4",
    "'name':'imagenette-mini' | 'name':null | name: expected a text, found null",
    "'name':'imagenette-mini' | 'name':7 | name: expected a text, found 7",
    "'format':1 | 'format':'1' | format: expected an integer, found '1'",
    "'format':1 | 'format':1.5 | format: expected an integer, found 1.5",
    "'format':1 | 'format':-1 | format: expected 0..2147483647, found -1",
    "'golden':['golden/0','golden/1'] | 'golden':'golden/0' | golden: expected a list, found 'golden/0'",
    "'golden':['golden/0' | 'golden':[0 | golden[0]: expected a text, found 0",
    "'bytes':11358 | 'bytes':-1 | files: LICENSE: bytes: expected 0..1073741824, found -1",
    "'shape':[1,3,160,160] | 'shape':[1,3,160,161] | input: shape: expected [1,3,S,S], found [1, 3, 160, 161]",
    "'shape':[1,3,160,160] | 'shape':[2,3,160,160] | input: shape: expected [1,3,S,S], found [2, 3, 160, 160]",
    "'shape':[1,3,160,160] | 'shape':[1,3,160] | input: shape: expected [1,3,S,S], found [1, 3, 160]",
    "'shape':[1,10] | 'shape':[10] | outputs: logits: shape: expected [1,classes], found [10]",
    "'kept':['kept_0','kept_1'] | 'kept':['kept_0'] | outputs: kept: expected 2 names, one a stage, found [kept_0]",
    "'patches':100 | 'patches':99 | keep: patches: expected grid * grid = 100, found 99",
    "'blocks':[2,4] | 'blocks':[2] | keep: blocks: expected 2 rising numbers, one a stage, found [2]",
    "'blocks':[2,4] | 'blocks':[4,2] | keep: blocks: expected 2 rising numbers, one a stage, found [4, 2]",
    "'default':'medium' | 'default':'middle' | default: expected the name of a rung, found middle",
    "'default':'medium', | `` | default: expected the name of a rung, found nothing",
  })
  void shouldSayWhereAValueIsWrongAndWhatWasExpected(String passage, String other, String sentence) throws IOException {
    assertRefused(ShippedBundle.manifest(quotes(passage), quotes(other)), "bundle.json: " + quotes(sentence) + "; export the bundle again.");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
    "'keep':[80,64] | 'keep':[80] | ladder: high: keep: expected 2 counts that fall from at most 100 and are at least 1, found [80]",
    "'keep':[80,64] | 'keep':[80,64,9] | ladder: high: keep: expected 2 counts that fall from at most 100 and are at least 1, found [80, 64, 9]",
    "'keep':[80,64] | 'keep':[64,80] | ladder: high: keep: expected 2 counts that fall from at most 100 and are at least 1, found [64, 80]",
    "'keep':[80,64] | 'keep':[80,0] | ladder: high: keep: expected 2 counts that fall from at most 100 and are at least 1, found [80, 0]",
    "'keep':[80,64] | 'keep':[101,64] | ladder[1]: keep[0]: expected 0..100, found 101",
    "'keep':[80,64] | 'keep':[80,-1] | ladder[1]: keep[1]: expected 0..100, found -1",
    "'name':'high' | 'name':'full' | ladder: expected rungs of different names, found [full, full, medium, low, lowest]",
  })
  void shouldRefuseALadderThatCannotBeClimbed(String passage, String other, String sentence) throws IOException {
    assertRefused(ShippedBundle.manifest(quotes(passage), quotes(other)), "bundle.json: " + quotes(sentence) + "; export the bundle again.");
  }

  @Test
  void shouldRefuseALadderWhoseRungsAreOutOfOrder() throws IOException {
    String manifest = ShippedBundle.manifest("\"keep_from\":0.", "\"keep_from\":0.00"); // the first rung, now below the second
    assertThatThrownBy(() -> parse(manifest)).isInstanceOf(BundleException.class)
        .hasMessageStartingWith("bundle.json: ladder: expected keep_from to fall from rung to rung, found [0.00");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
    "'name':'imagenette-mini' | 'name':'a\\u001b[2Jb' | name: expected text without control characters, found U+001B",
    "'kept_1' | 'kept\\n1' | outputs: kept[1]: expected text without control characters, found U+000A",
    "'LICENSE': | 'LIC\\u0000ENSE': | files: expected text without control characters, found U+0000",
  })
  void shouldRefuseTextThatCouldSteerATerminal(String passage, String other, String sentence) throws IOException {
    assertRefused(ShippedBundle.manifest(quotes(passage), quotes(other)), "bundle.json: " + sentence + "; export the bundle again.");
  }

  @ParameterizedTest
  @ValueSource(strings = {"soon", "1", "1.0", "", "0.1.9999999999"})
  void shouldRefuseARuntimeThatIsNoVersion(String runtime) throws IOException {
    assertRefused(ShippedBundle.manifest("\"runtime\":\"0.1.0\"", "\"runtime\":\"" + runtime + "\""),
        "bundle.json: runtime: expected SemVer such as 1.2.3, found " + runtime + "; export the bundle again.");
  }

  @Test
  void shouldRefuseAManifestThatForgetsTheModel() throws IOException {
    String manifest = ShippedBundle.manifest("\"model\":\"model.onnx\"", "\"model\":\"other.onnx\"");
    assertThatThrownBy(() -> parse(manifest)).isInstanceOf(BundleException.class)
        .hasMessageStartingWith("bundle.json: files: expected an entry for other.onnx, found ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "[]", "1", "null", "\"text\"", "{} {}"})
  void shouldRefuseADocumentThatIsNotOneObject(String document) {
    assertRefused(document, "bundle.json: expected one JSON object; restore the file from its bundle.");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 10, 500, 1500})
  void shouldRefuseATruncatedManifest(int length) throws IOException {
    assertNotValid(ShippedBundle.manifest().substring(0, length));
  }

  @ParameterizedTest
  @ValueSource(strings = {"{'format':1,}", "{'format':01}", "{'format':NaN}", "{format:1}", "{'format':99999999999999999999}", "{} x"})
  void shouldRefuseWhatIsNoJson(String document) {
    assertNotValid(quotes(document));
  }

  @Test
  void shouldRefuseListsInListsWithoutEnd() {
    assertNotValid("{\"format\":" + "[".repeat(100_000));
  }

  @Test
  void shouldRefuseATextWithoutEnd() {
    assertNotValid("{\"name\":\"" + "x".repeat(100_000) + "\"}");
  }

  @Test
  void shouldShortenALongValueInTheMessage() throws IOException {
    String manifest = ShippedBundle.manifest("\"format\":1", "\"format\":\"" + "9".repeat(1000) + "\"");
    assertThatThrownBy(() -> parse(manifest)).isInstanceOf(BundleException.class).message().hasSizeLessThan(200);
  }

  private static void assertRefused(String manifest, String sentence) {
    assertThatThrownBy(() -> parse(manifest)).isInstanceOf(BundleException.class).hasMessage(sentence).extracting("code")
        .isEqualTo("bundle.manifest");
  }

  private static void assertNotValid(String manifest) {
    assertThatThrownBy(() -> parse(manifest)).isInstanceOf(BundleException.class)
        .hasMessageMatching("bundle\\.json: not valid JSON \\(.+\\); restore the file from its bundle\\.")
        .extracting("code").isEqualTo("bundle.manifest");
  }

  private static Manifest parse(String manifest) {
    return Manifest.parse("bundle.json", manifest.getBytes(StandardCharsets.UTF_8));
  }

  /** Double quotes would make the tables above unreadable. */
  private static String quotes(String text) {
    return text == null ? "" : text.replace('\'', '"');
  }
}
