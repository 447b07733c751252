package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Traces that MLPerf LoadGen 6.0.17 measured, with what it said of them; {@code loadgen.py} beside them makes new ones. */
final class LoadGenTest {

  private static final double CONFIDENCE = 0.99; // fixed in LoadGen

  /** One run of LoadGen. */
  private record Trace(String name, Map<String, String> head, long[] nanos) {
    @Override
    public String toString() {
      return name;
    }

    private PercentileBound bound(double percentile) {
      return new PercentileBound(percentile, CONFIDENCE);
    }

    private double percentile() {
      return Double.parseDouble(head.get("percentile"));
    }
  }

  private static List<Trace> traces(String scenario) throws IOException, URISyntaxException {
    Path folder = Path.of(LoadGenTest.class.getResource("/latency").toURI());
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.getFileName().toString().startsWith("loadgen-" + scenario)).sorted().map(LoadGenTest::read).toList();
    }
  }

  private static Trace read(Path file) {
    try {
      List<String> lines = Files.readAllLines(file);
      Map<String, String> head = Arrays.stream(lines.get(0).split(" ")).map(pair -> pair.split("=")).collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
      return new Trace(file.getFileName().toString(), head, lines.stream().skip(1).mapToLong(Long::parseLong).toArray());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  static List<Trace> singleStream() throws IOException, URISyntaxException {
    return traces("single-stream");
  }

  static List<Trace> server() throws IOException, URISyntaxException {
    return traces("server");
  }

  /** LoadGen keeps one sample more than may be over, so its estimate is the smallest of those that may be; with none it has no estimate. */
  private static long estimate(Trace trace, double percentile) {
    long[] sorted = Arrays.stream(trace.nanos()).sorted().toArray();
    long over = trace.bound(percentile).mostOver(sorted.length);
    return over < 1 ? 0 : sorted[sorted.length - (int) over];
  }

  @ParameterizedTest
  @MethodSource("singleStream")
  void shouldCountAsManySamplesOverThePercentileAsLoadGen(Trace trace) {
    assertThat(estimate(trace, trace.percentile())).isEqualTo(Long.parseLong(trace.head().get("p")));
    boolean enough = trace.bound(trace.percentile()).mostOver(trace.nanos().length) >= 1;
    assertThat(enough ? estimate(trace, 99) : 0).isEqualTo(Long.parseLong(trace.head().get("p99")));
  }

  @ParameterizedTest
  @MethodSource("server")
  void shouldPassWhatLoadGenPasses(Trace trace) {
    Samples samples = new Samples(trace.nanos(), trace.nanos().length);
    long over = samples.over(Long.parseLong(trace.head().get("limit")));
    assertThat(over <= trace.bound(trace.percentile()).mostOver(samples.count())).isEqualTo(Boolean.parseBoolean(trace.head().get("met")));
  }
}
