package dev.coppice.ops;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnxruntime.OrtEnvironment;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a native image must keep for the two JNI libraries: all of it, and nothing that is not there. */
final class NativeImageMetadataTest {

  private static final String FOLDER = "/META-INF/native-image/dev.coppice/coppice-core/";

  /** The values of this key, wherever it stands. */
  private static List<String> values(String file, String key) throws IOException {
    List<String> found = new ArrayList<>();
    try (InputStream in = NativeImageMetadataTest.class.getResourceAsStream(FOLDER + file); JsonParser json = new JsonFactory().createParser(in)) {
      for (JsonToken token = json.nextToken(); token != null; token = json.nextToken()) {
        if (token == JsonToken.FIELD_NAME && json.currentName().equals(key)) {
          found.add(json.nextTextValue());
        }
      }
    }
    return found;
  }

  private static byte[] onnxRuntime(String library) throws IOException {
    String platform = "linux-" + (System.getProperty("os.arch").equals("aarch64") ? "aarch64" : "x64");
    try (InputStream in = OrtEnvironment.class.getResourceAsStream("/ai/onnxruntime/native/" + platform + "/" + library)) {
      return in.readAllBytes();
    }
  }

  static List<String> types() throws IOException {
    return values("jni-config.json", "name").stream().filter(name -> name.contains(".")).toList();
  }

  @ParameterizedTest
  @MethodSource("types")
  void shouldNameTypesThatExist(String type) throws ClassNotFoundException {
    assertThat(Class.forName(type, false, getClass().getClassLoader()).getName()).isEqualTo(type);
  }

  @Test
  void shouldNameEveryTypeThatOnnxRuntimesLibraryLooksUp() throws IOException {
    String library = new String(onnxRuntime("libonnxruntime4j_jni.so"), StandardCharsets.ISO_8859_1);
    // A name alone is looked up; one inside a signature is not. Constant strings end at a zero.
    List<String> looked = Pattern.compile("\0(ai/onnxruntime/\\w+)\0").matcher(library.replace("\0", "\0\0")).results()
        .map(result -> result.group(1).replace('/', '.')).toList();
    assertThat(looked).contains("ai.onnxruntime.OrtException");
    assertThat(types()).containsAll(looked);
  }

  @Test
  void shouldNameEveryNativeOfOurs() throws IOException {
    TreeSet<String> natives = new TreeSet<>();
    Stream.of(NativeOps.class.getDeclaredMethods()).filter(method -> Modifier.isNative(method.getModifiers())).map(Method::getName).forEach(natives::add);
    assertThat(values("jni-config.json", "name").stream().filter(name -> !name.contains("."))).containsExactlyElementsOf(natives);
  }

  @ParameterizedTest
  @ValueSource(strings = {"META-INF/coppice/boards/index", "META-INF/coppice/native/linux-x86_64/libcoppice_ops.so.sha256",
      "ai/onnxruntime/native/linux-x64/libonnxruntime.so", "ai/onnxruntime/native/linux-aarch64/libonnxruntime4j_jni.so"})
  void shouldKeepTheResourcesThatAreRead(String resource) throws IOException {
    assertThat(values("resource-config.json", "pattern")).anyMatch(pattern -> resource.matches(pattern));
  }
}
