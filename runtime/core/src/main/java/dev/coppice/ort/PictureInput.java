package dev.coppice.ort;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.coppice.api.Image;
import dev.coppice.api.Preprocessing;
import java.nio.ByteBuffer;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;

/**
 * Pixels to the model's input tensor by the operator ImageToTensor, which gives what {@code coppice_export/preprocess.py} gives
 * to the bit. A session for each layout of pixels, made when the first picture comes.
 */
final class PictureInput implements AutoCloseable {

  /** Makes a session as the model's own is made. */
  interface Sessions {
    OrtSession make(ByteBuffer graph) throws OrtException;
  }

  private static final String IMAGE = "image";
  private static final String TENSOR = "tensor";

  private final OrtEnvironment environment;
  private final Sessions sessions;
  private final Preprocessing spec;
  private final Map<String, OnnxTensor> output;
  private final Map<Image.Layout, OrtSession> made = new EnumMap<>(Image.Layout.class);
  private ByteBuffer copy = ByteBuffer.allocateDirect(0); // of pixels on the heap
  // The value over the last picture's pixels: a camera's pictures are of one size.
  private Map<String, OnnxTensor> input = Map.of();
  private ByteBuffer over;
  private int width;
  private int height;
  private Image.Layout layout;

  /** tensor: [1, 3, crop, crop], written by {@link #load}. */
  PictureInput(OrtEnvironment environment, Sessions sessions, Preprocessing spec, OnnxTensor tensor) {
    this.environment = environment;
    this.sessions = sessions;
    this.spec = spec;
    this.output = Map.of(TENSOR, tensor);
  }

  void load(Image picture) throws OrtException {
    OrtSession session = made.get(picture.layout());
    if (session == null) {
      byte[] graph = graph(picture.layout());
      session = sessions.make(ByteBuffer.allocateDirect(graph.length).put(graph).flip());
      made.put(picture.layout(), session);
    }
    bind(picture);
    session.run(input, Set.of(), output).close();
  }

  private void bind(Image picture) throws OrtException {
    ByteBuffer pixels = picture.pixels();
    if (!pixels.isDirect()) {
      if (copy.capacity() < pixels.capacity()) {
        copy = ByteBuffer.allocateDirect(pixels.capacity());
      }
      copy.put(0, pixels, 0, pixels.capacity());
      pixels = copy;
    }
    if (pixels != over || picture.width() != width || picture.height() != height || picture.layout() != layout) {
      boolean rgb = picture.layout() == Image.Layout.RGB;
      long[] shape = rgb ? new long[] {picture.height(), picture.width(), 3} : new long[] {picture.height() / 2 * 3L, picture.width()};
      OnnxTensor value = OnnxTensor.createTensor(environment, pixels.slice(0, picture.pixels().capacity()), shape, OnnxJavaType.UINT8);
      input.values().forEach(OnnxTensor::close);
      input = Map.of(IMAGE, value);
      over = pixels;
      width = picture.width();
      height = picture.height();
      layout = picture.layout();
    }
  }

  private byte[] graph(Image.Layout pixels) {
    OneNode node = new OneNode("ImageToTensor").attribute("size", spec.shortSide()).attribute("crop", spec.crop(), spec.crop())
        .attribute("mean", spec.mean()).attribute("std", spec.std());
    if (pixels != Image.Layout.RGB) {
      node.attribute("layout", "nv12").attribute("range", pixels == Image.Layout.NV12 ? "limited" : "full");
    }
    return node.input(IMAGE, OneNode.UINT8).output(TENSOR, OneNode.FLOAT).model();
  }

  @Override
  public void close() {
    input.values().forEach(OnnxTensor::close);
    for (OrtSession session : made.values()) {
      OrtEngine.close(session);
    }
  }
}
