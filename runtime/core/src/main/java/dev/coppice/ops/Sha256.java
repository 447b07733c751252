package dev.coppice.ops;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * SHA-256 by the processor's own instructions where it has them and the operator library is loaded, else by the JDK: a young JVM interprets the
 * JDK's, 20 times slower than it will be, and looks for its provider first.
 */
public final class Sha256 {

  private static final int BYTES = 32;

  private Sha256() {}

  /** The hash of these bytes in hexadecimal digits. */
  public static String of(byte[] bytes) {
    return of(ByteBuffer.wrap(bytes));
  }

  /** The hash of what remains, which is left as it is, in hexadecimal digits. */
  public static String of(ByteBuffer bytes) {
    byte[] digest = new byte[BYTES];
    if (!OperatorLibrary.isLoaded() || !isNative(bytes, digest)) {
      digest = byJdk(bytes.duplicate());
    }
    return HexFormat.of().formatHex(digest);
  }

  private static boolean isNative(ByteBuffer bytes, byte[] digest) {
    if (bytes.isDirect()) {
      return NativeOps.sha256(bytes, null, bytes.position(), bytes.remaining(), digest);
    }
    return bytes.hasArray() && NativeOps.sha256(null, bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining(), digest);
  }

  static byte[] byJdk(ByteBuffer bytes) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(bytes);
      return digest.digest();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
