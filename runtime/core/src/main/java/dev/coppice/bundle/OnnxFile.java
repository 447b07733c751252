package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * Refuses a model that reaches for more than its own bytes, before ONNX Runtime sees it. ONNX Runtime 1.29 reads external data of a
 * model that it gets as bytes from the working directory, whatever the bundle's hashes say; it takes memory for texts that are not
 * there; and functions that call functions grow into more nodes than any memory holds. Source of the field numbers: onnx.proto3 of
 * ONNX 1.23.
 */
final class OnnxFile {

  private static final int MOST_NESTED = 8; // a graph in a node of a graph
  private static final int TEXTS = 8; // TensorProto.DataType.STRING
  private static final int ELEMENTS_IN_A_BYTE = 4; // of the narrowest type, INT2

  /** The messages on the way to tensors, and which fields hold which of them. */
  private enum Message {
    TENSOR, ATTRIBUTE, NODE, GRAPH, MODEL;

    private static final Map<Message, Map<Integer, Message>> FIELDS = Map.of(
        MODEL, Map.of(7, GRAPH),
        GRAPH, Map.of(1, NODE, 5, TENSOR),
        NODE, Map.of(5, ATTRIBUTE),
        ATTRIBUTE, Map.of(5, TENSOR, 6, GRAPH, 10, TENSOR, 11, GRAPH));
  }

  private final String file;

  private OnnxFile(String file) {
    this.file = file;
  }

  /** Accepts an ONNX model of one graph with all its data; {@code file} names it in messages. */
  static void requireSelfContained(String file, ByteBuffer model) {
    OnnxFile graph = new OnnxFile(file);
    if (model.remaining() >= 8 && StandardCharsets.ISO_8859_1.decode(model.slice(model.position() + 4, 4)).toString().equals("ORTM")) {
      throw graph.refused("an ONNX graph", "the optimised form of ONNX Runtime, which depends on the machine");
    }
    try {
      graph.read(Message.MODEL, model.duplicate(), 0);
    } catch (ProtobufReader.Damaged e) {
      throw graph.refused("an ONNX model", "something else");
    }
  }

  private void read(Message message, ByteBuffer bytes, int nested) throws ProtobufReader.Damaged {
    ProtobufReader fields = new ProtobufReader(bytes);
    while (fields.next()) {
      int field = fields.field();
      if (message == Message.MODEL && field == 25) {
        throw refused("a model of operators", "one with functions of its own");
      }
      if (message == Message.GRAPH && field == 15 || message == Message.ATTRIBUTE && (field == 22 || field == 23)) {
        throw refused("dense tensors", "a sparse one");
      }
      Message child = fields.hasContent() ? Message.FIELDS.get(message).get(field) : null;
      if (child == Message.TENSOR) {
        readTensor(fields.content());
      } else if (child != null) {
        read(child, fields.content(), child == Message.GRAPH ? deeper(nested) : nested);
      }
    }
  }

  private int deeper(int nested) {
    if (nested > MOST_NESTED) {
      throw refused("at most " + MOST_NESTED + " graphs within one another", "more");
    }
    return nested + 1;
  }

  private void readTensor(ByteBuffer bytes) throws ProtobufReader.Damaged {
    long most = (long) ELEMENTS_IN_A_BYTE * bytes.remaining();
    long elements = 1;
    ProtobufReader fields = new ProtobufReader(bytes);
    while (fields.next()) {
      if (fields.field() == 1 && fields.hasContent()) { // many dimensions at once
        for (ByteBuffer dimensions = fields.content(); dimensions.hasRemaining(); ) {
          elements = elements(elements, ProtobufReader.varint(dimensions), most);
        }
      } else if (fields.field() == 1) {
        elements = elements(elements, fields.number(), most);
      } else if (fields.field() == 2 && (int) fields.number() == TEXTS) {
        throw refused("tensors of numbers", "one of texts");
      } else if (fields.field() == 14 && fields.number() != 0) { // data_location; 0 is the default
        throw refused("a model whose tensors are all in this file", "one with external data");
      }
    }
  }

  /** The elements of a shape with one more dimension, at most as many as the bytes that hold them can be. */
  private long elements(long elements, long dimension, long most) {
    if (dimension < 0 || elements > 0 && dimension > most / elements) {
      throw refused("tensors with the data of their shapes", "one that ends early");
    }
    return elements * dimension;
  }

  private BundleException refused(String expected, String found) {
    return new BundleException("model", file + ": expected " + expected + ", found " + found + "; export the bundle again.");
  }
}
