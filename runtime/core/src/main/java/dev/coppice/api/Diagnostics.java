package dev.coppice.api;

import java.util.List;

/**
 * The machine as the runtime sees it, for bug reports.
 *
 * @param java version and vendor
 * @param platform operating system and processor architecture
 * @param glibc version of the C library
 * @param onnxRuntime version
 * @param operatorLibrary file that was loaded
 * @param isa instruction set in use
 * @param isas instruction sets that could be used here, slowest first
 * @param board model name, or what little is known
 * @param processors that the JVM may use
 * @param threads that a classifier takes by default
 */
public record Diagnostics(
    String java,
    String platform,
    String glibc,
    String onnxRuntime,
    String operatorLibrary,
    String isa,
    List<String> isas,
    String board,
    int processors,
    int threads) {

  /** Copies the list. */
  public Diagnostics {
    isas = List.copyOf(isas);
  }
}
