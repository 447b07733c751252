package dev.coppice.tensor;

import java.nio.ByteBuffer;

/** The file of a model. It is verified whenever it is read, so what an engine gets is what the bundle promises. */
public interface Graph {

  /** The SHA-256 that it must have, in hexadecimal digits. */
  String sha256();

  /** How many bytes it must have. */
  int bytes();

  /**
   * Reads all of it into memory of that size.
   *
   * @throws dev.coppice.api.BundleException if it is missing or another
   */
  void read(ByteBuffer into);
}
