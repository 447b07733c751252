package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** The files of a bundle that are not needed to run it, golden cases above all: read and verified on a thread of their own. */
public final class Rest {

  private final CompletableFuture<List<Bundle.Golden>> reading;

  /** Begins to read. */
  Rest(BundleFiles files) {
    reading = CompletableFuture.supplyAsync(() -> read(files), task -> {
      Thread thread = new Thread(task, "coppice-rest");
      thread.setDaemon(true);
      thread.start();
    });
  }

  private static List<Bundle.Golden> read(BundleFiles files) {
    Manifest manifest = files.manifest();
    List<Bundle.Golden> golden = new ArrayList<>();
    for (String name : manifest.golden()) {
      golden.add(golden(name, files, manifest));
    }
    List<String> others = List.of(manifest.modelFile(), "config.json", "preprocessor_config.json");
    for (String name : manifest.files().keySet()) {
      if (!others.contains(name)) {
        files.verified(name);
      }
    }
    return List.copyOf(golden);
  }

  /** The golden cases, once all is verified. */
  List<Bundle.Golden> golden() {
    try {
      return reading.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException refused) {
        throw refused;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private static Bundle.Golden golden(String name, BundleFiles files, Manifest manifest) {
    Json json = Json.parse(name + "/case.json", files.verified(name + "/case.json"));
    List<Integer> keep = json.integers("keep", 0, manifest.patches());
    double tolerance = json.number("tolerance");
    json.end();
    float[] image = floats(files.verified(name + "/input.bin"));
    float[] logits = floats(files.verified(name + "/logits.bin"));
    long pixels = manifest.model().imageShape()[2];
    if (image.length != 3 * pixels * pixels || logits.length != manifest.model().classes() || keep.size() != manifest.model().kept().size()) {
      throw new BundleException("manifest", name + ": input, logits or keep do not fit the model; export the bundle again.");
    }
    return new Bundle.Golden(name, image, keep, logits, tolerance);
  }

  private static float[] floats(byte[] bytes) {
    float[] out = new float[bytes.length / Float.BYTES];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(out);
    return out;
  }
}
