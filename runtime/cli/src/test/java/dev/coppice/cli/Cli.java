package dev.coppice.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine;

/** What a run of the command left behind. */
record Cli(int code, String out, String err) {

  static final Path BUNDLE = Path.of(System.getProperty("coppice.bundle"));

  /** Runs the command in this JVM. */
  static Cli run(Object... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine line = Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    int code = line.execute(Stream.of(arguments).map(Object::toString).toArray(String[]::new));
    line.getOut().flush();
    line.getErr().flush();
    return new Cli(code, out.toString(), err.toString());
  }

  static Path golfBall() {
    return BUNDLE.resolve("../../../docs/images/golf-ball.jpg").normalize();
  }

  /** A copy of the shipped bundle that a test may spoil. */
  static Path copyOfBundle(Path folder) throws IOException {
    return copy(BUNDLE, folder.resolve("bundle"));
  }

  /** A copy of a folder with all that is in it. */
  static Path copy(Path from, Path to) throws IOException {
    List<Path> sources;
    try (Stream<Path> walk = Files.walk(from)) {
      sources = walk.toList();
    }
    for (Path source : sources) {
      Files.copy(source, to.resolve(from.relativize(source).toString()));
    }
    return to;
  }

  /** Changes one passage of a copy's manifest; fails if it is not there. */
  static void change(Path copy, String passage, String other) throws IOException {
    String manifest = Files.readString(copy.resolve("bundle.json")).replaceAll("\\s+", "");
    if (!manifest.contains(passage)) {
      throw new IllegalArgumentException("the shipped manifest does not contain " + passage);
    }
    Files.writeString(copy.resolve("bundle.json"), manifest.replace(passage, other));
  }
}
