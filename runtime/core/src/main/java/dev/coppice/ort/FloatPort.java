package dev.coppice.ort;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import dev.coppice.tensor.FloatTensor;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** A float input or output of the model: a buffer of our own, or the caller's where ONNX Runtime can use it in place. */
final class FloatPort implements AutoCloseable {

  private final OrtEnvironment environment;
  private final FloatTensor own;
  private final OnnxTensor ownValue;
  // The caller's last buffer: making a value anew takes ONNX Runtime about a microsecond.
  private FloatBuffer lent;
  private int lentAt;
  private OnnxTensor lentValue;

  FloatPort(OrtEnvironment environment, long... shape) throws OrtException {
    this.environment = environment;
    this.own = FloatTensor.zeros(shape);
    this.ownValue = OnnxTensor.createTensor(environment, own.data(), own.shape());
  }

  FloatTensor own() {
    return own;
  }

  OnnxTensor ownValue() {
    return ownValue;
  }

  static boolean inPlace(FloatBuffer buffer) {
    return buffer.isDirect() && buffer.order() == ByteOrder.nativeOrder();
  }

  /** The value over the buffer's elements from its position on; our own for a buffer that cannot be used in place. */
  OnnxTensor over(FloatBuffer buffer) throws OrtException {
    if (!inPlace(buffer)) {
      return ownValue;
    }
    if (buffer != lent || buffer.position() != lentAt) {
      OnnxTensor value = OnnxTensor.createTensor(environment, buffer.slice(buffer.position(), own.elements()), own.shape());
      giveBack();
      lent = buffer;
      lentAt = buffer.position();
      lentValue = value;
    }
    return lentValue;
  }

  private void giveBack() {
    if (lentValue != null) {
      lentValue.close();
    }
  }

  @Override
  public void close() {
    giveBack();
    ownValue.close();
  }
}
