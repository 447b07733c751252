package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.coppice.api.BundleException;
import dev.coppice.api.Classifier;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Protobuf;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.bundle.SignedBundle;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Models of the kinds that have broken other runtimes, each named after the report; docs/testing.md lists them. What is wrong is added
 * to a right model (protobuf merges what comes twice), and enters the manifest as an author would enter it.
 */
final class HostileModelTest {

  private static final int FLOAT = 1;
  private static final int STRING = 8;

  @TempDir private Path folder;
  private Path copy;

  @BeforeEach
  void copy() throws IOException {
    copy = SignedBundle.version(folder, "1.0.0");
  }

  /** The model with more in its graph or beside it. */
  private Path modelAnd(Protobuf more) throws IOException {
    ByteArrayOutputStream model = new ByteArrayOutputStream();
    model.writeBytes(Files.readAllBytes(copy.resolve("model.onnx")));
    model.writeBytes(more.bytes());
    ShippedBundle.replace(copy, "model.onnx", model.toByteArray());
    return copy;
  }

  private static Protobuf tensor(int type, long... dimensions) {
    Protobuf tensor = new Protobuf().with(8, "w").with(2, type);
    for (long dimension : dimensions) {
      tensor.with(1, dimension);
    }
    return tensor;
  }

  private static Protobuf data(byte[] bytes, int type, long... dimensions) {
    return tensor(type, dimensions).with(9, bytes);
  }

  private static Protobuf external(String location) {
    return tensor(FLOAT, 4).with(13, new Protobuf().with(1, "location").with(2, location)).with(14, 1);
  }

  private static Protobuf inGraph(int field, Protobuf message) {
    return new Protobuf().with(7, new Protobuf().with(field, message));
  }

  private static Protobuf initializer(Protobuf tensor) {
    return inGraph(5, tensor);
  }

  /** A tensor that an output of the model depends on. */
  private static Protobuf used(Protobuf tensor) {
    return new Protobuf().with(7, new Protobuf().with(5, tensor).with(1, node("Identity", "w", "v")).with(12, new Protobuf().with(1, "v")));
  }

  private static Protobuf node(String operator, String input, String output) {
    return new Protobuf().with(1, input).with(2, output).with(4, operator);
  }

  private static Protobuf attribute(int field, Protobuf value) {
    return inGraph(1, node("Constant", "", "c").with(5, new Protobuf().with(1, "value").with(field, value)));
  }

  /** Graphs in nodes of graphs. */
  private static Protobuf nested(int depth) {
    Protobuf graph = new Protobuf().with(2, "innermost");
    for (int i = 1; i < depth; i++) {
      graph = new Protobuf().with(1, node("If", "c", "d").with(5, new Protobuf().with(1, "then_branch").with(6, graph)));
    }
    return new Protobuf().with(7, graph);
  }

  /** Functions each of which calls the next one twice: their nodes double with each. */
  private static Protobuf doubling(int functions) {
    Protobuf model = inGraph(1, node("f0", "image", "z").with(7, "f"));
    for (int i = 0; i < functions; i++) {
      model.with(25, new Protobuf().with(1, "f" + i).with(10, "f").with(4, "x").with(5, "y").with(7, node("f" + (i + 1), "x", "t").with(7, "f"))
          .with(7, node("f" + (i + 1), "t", "y").with(7, "f")));
    }
    return model;
  }

  @Test
  void shouldOpenTheModelWithAHarmlessAddition() throws IOException {
    modelAnd(used(data(new byte[16], FLOAT, 4).with(14, 0)));
    try (Classifier classifier = Coppice.open(copy, OpenOptions.defaults().withThreads(1))) {
      classifier.selfTest();
    }
  }

  static Stream<Arguments> reachingOut() {
    return Stream.of(
        arguments("cve_2022_25882_dot_dot", initializer(external("../secret.bin"))),
        arguments("cve_2024_27318_nested_dot_dot", initializer(external("golden/../../secret.bin"))),
        arguments("cve_2026_27489_symbolic_link", initializer(external("link.bin"))),
        arguments("onnxruntime_hard_link", initializer(external("hard.bin"))),
        arguments("onnxruntime_26776_absolute_path", initializer(external("/etc/hostname"))),
        arguments("onnxruntime_27539_working_directory", initializer(external("pom.xml"))),
        arguments("onnxruntime_28709_address_of_memory", initializer(external("*/_ORT_MEM_ADDR_/*"))),
        arguments("onnx_empty_base_directory", initializer(external(""))),
        arguments("cve_2026_34445_keys_as_attributes",
            initializer(external("w.bin").with(13, new Protobuf().with(1, "__class__").with(2, "x")).with(13, new Protobuf().with(1, "length").with(2, "-1")))),
        arguments("external_data_in_an_attribute", attribute(5, external("pom.xml"))),
        arguments("external_data_in_a_list", attribute(10, external("pom.xml"))),
        arguments("external_data_in_a_graph_of_a_node", attribute(6, new Protobuf().with(5, external("pom.xml")))),
        arguments("external_data_said_last", initializer(data(new byte[16], FLOAT, 4).with(14, 0).with(14, 1))),
        arguments("external_data_by_a_long_number", initializer(tensor(FLOAT, 4).with(14, (1L << 32) + 1))));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("reachingOut")
  void shouldRefuseExternalData(String name, Protobuf more) throws IOException {
    modelAnd(more);
    assertRefused("expected a model whose tensors are all in this file, found one with external data");
  }

  static Stream<Arguments> growing() {
    return Stream.of(
        arguments("doubling_functions", doubling(40), "found one with functions of its own"),
        arguments("a_function_that_calls_itself", new Protobuf().with(25, new Protobuf().with(1, "f").with(7, node("f", "x", "y"))), "found one with functions of its own"),
        arguments("cve_2023_43642_product_of_dimensions_wraps", initializer(data(new byte[16], FLOAT, 1L << 62, 4)), "expected tensors with the data of their shapes"),
        arguments("llama_cpp_18674_dimension_beyond_the_data", initializer(data(new byte[4], FLOAT, (1L << 42) + 1)), "expected tensors with the data of their shapes"),
        arguments("dimensions_in_one_field", initializer(new Protobuf().with(1, new byte[] {127, 127, 127})), "expected tensors with the data of their shapes"),
        arguments("negative_dimension", initializer(data(new byte[16], FLOAT, -4)), "expected tensors with the data of their shapes"),
        arguments("ollama_17042_texts_that_are_not_there", attribute(5, tensor(STRING, 1)), "expected tensors of numbers, found one of texts"),
        arguments("sparse_tensor", inGraph(15, tensor(FLOAT, 1)), "expected dense tensors, found a sparse one"),
        arguments("sparse_tensor_in_an_attribute", attribute(22, tensor(FLOAT, 1)), "expected dense tensors, found a sparse one"),
        arguments("graphs_within_graphs", nested(10), "expected at most 8 graphs within one another, found more"),
        arguments("graphs_within_graphs_for_the_stack", nested(2_000), "expected at most 8 graphs within one another, found more"),
        arguments("a_length_beyond_the_end", new Protobuf().raw(7 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0x07), "expected an ONNX model, found something else"),
        arguments("a_negative_length", new Protobuf().raw(7 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "expected an ONNX model"),
        arguments("a_number_without_end", new Protobuf().raw(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "expected an ONNX model"),
        arguments("a_group", new Protobuf().raw(9 << 3 | 3, 9 << 3 | 4), "expected an ONNX model"),
        arguments("field_zero", new Protobuf().raw(0, 0), "expected an ONNX model"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("growing")
  void shouldRefuseWhatGrows(String name, Protobuf more, String sentence) throws IOException {
    modelAnd(more);
    assertRefused(sentence);
  }

  /** Built for one machine, and read by other code than ONNX. Its root could be so far that it is a field of protobuf as well. */
  @ParameterizedTest
  @ValueSource(ints = {0x18, 0x32})
  void shouldRefuseTheFormatOfOnnxRuntime(int first) throws IOException {
    byte[] model = new byte[64];
    model[0] = (byte) first;
    model[1] = 62;
    System.arraycopy("ORTM".getBytes(), 0, model, 4, 4);
    ShippedBundle.replace(copy, "model.onnx", model);
    assertRefused("expected an ONNX graph, found the optimised form of ONNX Runtime");
  }

  static Stream<Arguments> lying() {
    return Stream.of(
        arguments("llama_cpp_26690_type_that_nobody_knows", used(data(new byte[16], 99, 4))),
        arguments("data_shorter_than_its_shape", used(data(new byte[4], FLOAT, 4))),
        arguments("nodes_in_a_circle", inGraph(1, node("Neg", "b", "a")).with(7, new Protobuf().with(1, node("Neg", "a", "b")))),
        arguments("a_node_that_feeds_itself", inGraph(1, node("Neg", "a", "a"))),
        arguments("a_value_of_two_nodes", inGraph(1, node("Neg", "image", "a")).with(7, new Protobuf().with(1, node("Neg", "image", "a")))));
  }

  /** What is wrong within one file, ONNX Runtime refuses, and the JVM lives on. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("lying")
  void shouldRefuseWhatDoesNotAddUp(String name, Protobuf more) throws IOException {
    modelAnd(more);
    assertThatThrownBy(() -> Coppice.open(copy, OpenOptions.defaults().withThreads(1))).isInstanceOf(BundleException.class)
        .hasMessageStartingWith("Bundle \"small\": ONNX Runtime refuses the model (").hasMessageEndingWith("; export it again.");
    assertThat(Coppice.verify(SignedBundle.FOLDER, Trust.off()).name()).isEqualTo("small");
  }

  /** Refused by who only verifies: ONNX Runtime is not asked. */
  private void assertRefused(String sentence) {
    assertThatThrownBy(() -> Coppice.verify(copy, Trust.off())).isInstanceOf(BundleException.class).hasMessageContaining(sentence)
        .hasMessageStartingWith(copy.resolve("model.onnx") + ": ").hasMessageEndingWith("; export the bundle again.").extracting("code").isEqualTo("bundle.model");
  }
}
