package dev.coppice.ort;

import ai.onnxruntime.OrtSession;

/** Two sessions of one model differ by more than what the runtime adds to a run, so both must run the same one. */
public final class SessionOf {

  private SessionOf() {}

  /** The session of an open engine, which goes on owning it. */
  public static OrtSession engine(OrtEngine engine) {
    return engine.session();
  }
}
