package dev.coppice.ort;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtLoggingLevel;
import dev.coppice.ops.OperatorLibrary;

/** ONNX Runtime's environment, of which a process has one: made when it is first asked for, after the libraries that it needs. */
final class Environment {

  private static OrtEnvironment shared;
  private static Throwable broken; // why there is none: a class that failed to load tells it once

  private Environment() {}

  static synchronized OrtEnvironment get() {
    if (shared == null && broken == null) {
      OperatorLibrary.load(); // first: it keeps ONNX Runtime from recording usage
      OperatorLibrary.unpackRuntime();
      try {
        // FATAL: what goes wrong comes back as an exception; ONNX Runtime would print it on stderr besides.
        shared = OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
      } catch (LinkageError | IllegalStateException e) { // its class initialiser failed
        broken = e;
      }
    }
    if (shared == null) {
      throw Failures.loading(broken);
    }
    return shared;
  }

  /** Tells builds of ONNX Runtime apart, where it can without waiting until it is loaded. */
  static String build() {
    String unpacked = OperatorLibrary.unpackRuntime();
    return unpacked.isEmpty() ? get().getVersion() : unpacked;
  }
}
