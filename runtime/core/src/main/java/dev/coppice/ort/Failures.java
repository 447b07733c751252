package dev.coppice.ort;

import ai.onnxruntime.OrtException;
import dev.coppice.api.BundleException;
import dev.coppice.api.CoppiceException;
import dev.coppice.api.NativeException;

/** ONNX Runtime's exceptions in the runtime's terms. */
final class Failures {

  private Failures() {}

  static NativeException loading(Throwable e) {
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return new NativeException("engine", "ONNX Runtime cannot be loaded (" + oneLine(cause) + "); it unpacks its library to java.io.tmpdir = "
        + System.getProperty("java.io.tmpdir") + ": name a folder whose files may be executed with -Djava.io.tmpdir=/folder.", e);
  }

  static CoppiceException opening(String model, OrtException e) {
    return switch (e.getCode()) {
      case ORT_INVALID_PROTOBUF, ORT_INVALID_GRAPH, ORT_INVALID_ARGUMENT, ORT_NOT_IMPLEMENTED, ORT_FAIL, ORT_NO_MODEL, ORT_JAVA_UNKNOWN ->
          new BundleException("model", "Bundle \"" + model + "\": ONNX Runtime refuses the model (" + oneLine(e) + "); export it again.", e);
      default -> new NativeException("engine", "Bundle \"" + model + "\" cannot be opened (" + oneLine(e) + "); run `coppice doctor`.", e);
    };
  }

  static NativeException running(String model, OrtException e) {
    if (String.valueOf(e.getMessage()).contains("terminate flag")) {
      return new NativeException("ended", "Bundle \"" + model + "\": the run was ended, as nobody waits for it any more.", e);
    }
    return new NativeException("engine", "Bundle \"" + model + "\": the run failed (" + oneLine(e) + "); run `coppice doctor`.", e);
  }

  static NativeException closing(OrtException e) {
    return new NativeException("engine", "ONNX Runtime cannot free a session (" + oneLine(e) + "); run `coppice doctor`.", e);
  }

  private static String oneLine(Throwable e) {
    return String.valueOf(e.getMessage()).replaceAll("\\s+", " ").strip().replaceAll("\\.$", "");
  }
}
