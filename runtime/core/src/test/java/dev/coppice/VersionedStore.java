package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.BundleStore;
import dev.coppice.api.FollowOptions;
import dev.coppice.api.Image;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.FolderStore;
import dev.coppice.bundle.Protobuf;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.bundle.SignedBundle;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** A store of small models, right and wrong, for what follows it; the folder takes what is written. */
record VersionedStore(Path folder) {

  static final String NAME = "small";
  static final FollowOptions OPTIONS = FollowOptions.defaults().withOpen(OpenOptions.defaults().withThreads(1));
  static final Image BLACK = new Image(16, 16, new byte[3 * 16 * 16], 0);

  BundleStore store() {
    return Coppice.store(folder.resolve("store"), OPTIONS.open());
  }

  /** The same, but it installs what this machine cannot run, as one shared with another machine would. */
  BundleStore blind() {
    return new FolderStore(folder.resolve("store"), Trust.off(), bundle -> { });
  }

  /** The version that is current in the store. */
  String stored() {
    return Coppice.verify(blind().current(NAME), Trust.off()).version();
  }

  Path version(String version) throws IOException {
    return SignedBundle.version(folder, version);
  }

  /** A version whose labels name it. */
  Path named(int number) throws IOException {
    Path copy = SignedBundle.version(Files.createTempDirectory(folder, "source"), "1." + number + ".0");
    String labels = Files.readString(copy.resolve("config.json")).replaceAll("\"(\\d)\": \"[^\"]*\"", "\"$1\": \"" + number + " label $1\"");
    ShippedBundle.replace(copy, "config.json", labels.getBytes(StandardCharsets.UTF_8));
    return copy;
  }

  /** A version that computes something else than its author saw. */
  Path wrong(String version) throws IOException {
    Path copy = version(version);
    ShippedBundle.replace(copy, "golden/1/logits.bin", new byte[12]);
    return copy;
  }

  /** A version without golden cases whose every run fails: its graph gives one token more than its manifest promises. */
  Path failing(String version) throws IOException {
    Path copy = version(version);
    Path manifest = copy.resolve("bundle.json");
    String text = Files.readString(manifest).replaceAll("\\s+", "");
    Files.writeString(manifest, text.replace("\"prefix\":1", "\"prefix\":0").replace("\"golden\":[\"golden/0\",\"golden/1\"]", "\"golden\":[]"));
    return copy;
  }

  /** A version that is right for its golden cases and fails for {@link #BLACK}: it looks for logits in row -sign(max(image)), and there is one row. */
  Path moody(String version) throws IOException {
    Path copy = version(version);
    Path file = copy.resolve("model.onnx");
    String model = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
    int produced = model.indexOf("\6logits");
    byte[] renamed = (model.substring(0, produced) + "\6logitz" + model.substring(produced + 7)).getBytes(StandardCharsets.ISO_8859_1);
    Protobuf tail = new Protobuf().with(1, node("ReduceMax", "brightest", "image").with(5, number("keepdims", 0)))
        .with(1, node("Sign", "sign", "brightest")).with(1, node("Neg", "turned", "sign")).with(1, node("Cast", "row", "turned").with(5, number("to", 7)))
        .with(1, node("Gather", "found", "logitz", "row")).with(1, node("Flatten", "logits", "found").with(5, number("axis", 0)));
    byte[] more = new Protobuf().with(7, tail).bytes(); // a message that comes twice is merged
    byte[] whole = new byte[renamed.length + more.length];
    System.arraycopy(renamed, 0, whole, 0, renamed.length);
    System.arraycopy(more, 0, whole, renamed.length, more.length);
    ShippedBundle.replace(copy, "model.onnx", whole);
    return copy;
  }

  private static Protobuf node(String operator, String output, String... inputs) {
    Protobuf node = new Protobuf();
    for (String input : inputs) {
      node.with(1, input);
    }
    return node.with(2, output).with(4, operator);
  }

  private static Protobuf number(String name, long value) {
    return new Protobuf().with(1, name).with(3, value).with(20, 2);
  }

  static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("waited a minute").isLessThan(end);
      Thread.sleep(1);
    }
  }

  static void awaitVersion(Supplier<BundleInfo> serving, String version) throws InterruptedException {
    await(() -> serving.get().version().equals(version));
  }
}
