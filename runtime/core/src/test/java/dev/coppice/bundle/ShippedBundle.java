package dev.coppice.bundle;

import dev.coppice.ops.Sha256;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The default bundle of those that come with Coppice, and copies of it that a test may spoil. */
public final class ShippedBundle {

  /** The real one; nobody writes here. */
  public static final Path FOLDER = Path.of(System.getProperty("coppice.bundle"));

  private ShippedBundle() {}

  /** All bundles that come with Coppice, the real one among them. */
  public static List<Path> all() throws IOException {
    try (Stream<Path> folders = Files.list(FOLDER.getParent())) {
      return folders.sorted().toList();
    }
  }

  /** A picture whose label everybody can see: a golf ball. */
  public static Path golfBall() {
    return FOLDER.resolve("../../../docs/images/golf-ball.jpg").normalize();
  }

  /** The manifest without white space, none of which is inside a text. */
  public static String manifest() throws IOException {
    return Files.readString(FOLDER.resolve("bundle.json")).replaceAll("\\s+", "");
  }

  /** The manifest with one passage changed; fails if the passage is not there. */
  public static String manifest(String passage, String other) throws IOException {
    String whole = manifest();
    if (!whole.contains(passage)) {
      throw new IllegalArgumentException("the shipped manifest does not contain " + passage);
    }
    return whole.replaceFirst(Pattern.quote(passage), Matcher.quoteReplacement(other));
  }

  /** A copy of the whole bundle as {@code folder}/copy. */
  public static Path copyInto(Path folder) throws IOException {
    return copy(FOLDER, folder.resolve("copy"));
  }

  /** A copy of a folder with all that is in it; links stay links. */
  static Path copy(Path from, Path to) throws IOException {
    List<Path> sources;
    try (Stream<Path> walk = Files.walk(from)) {
      sources = walk.toList();
    }
    for (Path source : sources) {
      Files.copy(source, to.resolve(from.relativize(source).toString()), LinkOption.NOFOLLOW_LINKS);
    }
    return to;
  }

  /** Writes a file of a copy and enters its size and hash in the manifest, as an author would. */
  public static void replace(Path copy, String name, byte[] content) throws IOException {
    Files.write(copy.resolve(name), content);
    String entry = "\"" + name + "\":{\"bytes\":" + content.length + ",\"sha256\":\"" + Sha256.of(content) + "\"}";
    String old = Pattern.quote("\"" + name + "\":{") + "[^}]*}";
    String manifest = Files.readString(copy.resolve("bundle.json")).replaceAll("\\s+", "");
    Files.writeString(copy.resolve("bundle.json"), manifest.replaceFirst(old, Matcher.quoteReplacement(entry)));
  }

  /** The bytes of floats in the order of a bundle's files. */
  public static byte[] bytes(float[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }
}
