package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** The stored runs of a bundle. They stay on the disk, where a bundle's other files are: a picture is 600 KB in memory. */
public final class GoldenCases {

  private final BundleFiles files;

  GoldenCases(BundleFiles files) {
    this.files = files;
  }

  /** What a case says of itself. */
  private record Header(List<Integer> keep, double tolerance) {}

  /** Refuses cases that do not fit the model; their numbers are not read. */
  void requireFitting() {
    Manifest manifest = files.manifest();
    long edge = manifest.model().imageShape()[2];
    for (String name : manifest.golden()) {
      if (header(name).keep.size() != manifest.model().kept().size()
          || files.entry(name + "/input.bin").bytes() != 3 * edge * edge * Float.BYTES
          || files.entry(name + "/logits.bin").bytes() != (long) manifest.model().classes() * Float.BYTES) {
        throw new BundleException("manifest", name + ": input, logits or keep do not fit the model; export the bundle again.");
      }
    }
  }

  /** Reads them, in order of their names, and verifies what is read. */
  List<Bundle.Golden> read() {
    List<Bundle.Golden> cases = new ArrayList<>();
    for (String name : files.manifest().golden()) {
      Header header = header(name);
      cases.add(new Bundle.Golden(name, floats(name + "/input.bin"), header.keep, floats(name + "/logits.bin"), header.tolerance));
    }
    return cases;
  }

  private Header header(String name) {
    Json json = Json.parse(name + "/case.json", files.verified(name + "/case.json"));
    Header header = new Header(json.integers("keep", 0, files.manifest().patches()), json.number("tolerance"));
    json.end();
    return header;
  }

  private float[] floats(String name) {
    byte[] bytes = files.verified(name);
    float[] out = new float[bytes.length / Float.BYTES];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(out);
    return out;
  }
}
