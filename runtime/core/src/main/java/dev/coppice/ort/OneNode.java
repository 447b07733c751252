package dev.coppice.ort;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** An ONNX model of one operator of ours, written field by field after onnx.proto. What is wrong in it, ONNX Runtime refuses. */
final class OneNode {

  static final int FLOAT = 1;
  static final int UINT8 = 2;
  static final int INT64 = 7;

  private final ByteArrayOutputStream node = new ByteArrayOutputStream();
  private final ByteArrayOutputStream ports = new ByteArrayOutputStream();

  /** A node of domain dev.coppice. */
  OneNode(String operator) {
    text(node, 4, operator);
    text(node, 7, "dev.coppice");
  }

  /** An input of any shape. */
  OneNode input(String name, int type) {
    text(node, 1, name);
    bytes(ports, 11, port(name, type));
    return this;
  }

  OneNode output(String name, int type) {
    text(node, 2, name);
    bytes(ports, 12, port(name, type));
    return this;
  }

  OneNode attribute(String name, long value) {
    ByteArrayOutputStream attribute = new ByteArrayOutputStream();
    text(attribute, 1, name);
    number(attribute, 3, value);
    number(attribute, 20, 2);
    bytes(node, 5, attribute);
    return this;
  }

  OneNode attribute(String name, String value) {
    ByteArrayOutputStream attribute = new ByteArrayOutputStream();
    text(attribute, 1, name);
    text(attribute, 4, value);
    number(attribute, 20, 3);
    bytes(node, 5, attribute);
    return this;
  }

  OneNode attribute(String name, float value) {
    ByteArrayOutputStream attribute = new ByteArrayOutputStream();
    text(attribute, 1, name);
    real(attribute, 2, value);
    number(attribute, 20, 1);
    bytes(node, 5, attribute);
    return this;
  }

  OneNode attribute(String name, long first, long second) {
    ByteArrayOutputStream attribute = new ByteArrayOutputStream();
    text(attribute, 1, name);
    number(attribute, 8, first);
    number(attribute, 8, second);
    number(attribute, 20, 7);
    bytes(node, 5, attribute);
    return this;
  }

  OneNode attribute(String name, List<Float> values) {
    ByteArrayOutputStream attribute = new ByteArrayOutputStream();
    text(attribute, 1, name);
    values.forEach(value -> real(attribute, 7, value));
    number(attribute, 20, 6);
    bytes(node, 5, attribute);
    return this;
  }

  /** The model file. */
  byte[] model() {
    ByteArrayOutputStream graph = new ByteArrayOutputStream();
    bytes(graph, 1, node);
    text(graph, 2, "one-node");
    graph.writeBytes(ports.toByteArray());
    ByteArrayOutputStream model = new ByteArrayOutputStream();
    number(model, 1, 10);
    bytes(model, 7, graph);
    bytes(model, 8, opset("", 20));
    bytes(model, 8, opset("dev.coppice", 1));
    return model.toByteArray();
  }

  private static ByteArrayOutputStream opset(String domain, long version) {
    ByteArrayOutputStream opset = new ByteArrayOutputStream();
    text(opset, 1, domain);
    number(opset, 2, version);
    return opset;
  }

  private static ByteArrayOutputStream port(String name, int type) {
    ByteArrayOutputStream tensor = new ByteArrayOutputStream();
    number(tensor, 1, type);
    ByteArrayOutputStream kind = new ByteArrayOutputStream();
    bytes(kind, 1, tensor);
    ByteArrayOutputStream port = new ByteArrayOutputStream();
    text(port, 1, name);
    bytes(port, 2, kind);
    return port;
  }

  private static void text(ByteArrayOutputStream out, int field, String value) {
    byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
    varint(out, field << 3 | 2);
    varint(out, utf8.length);
    out.writeBytes(utf8);
  }

  private static void bytes(ByteArrayOutputStream out, int field, ByteArrayOutputStream value) {
    varint(out, field << 3 | 2);
    varint(out, value.size());
    out.writeBytes(value.toByteArray());
  }

  private static void number(ByteArrayOutputStream out, int field, long value) {
    varint(out, field << 3);
    varint(out, value);
  }

  private static void real(ByteArrayOutputStream out, int field, float value) {
    varint(out, field << 3 | 5);
    out.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(value).array());
  }

  private static void varint(ByteArrayOutputStream out, long value) {
    long rest = value;
    while ((rest & ~0x7fL) != 0) {
      out.write((int) (rest & 0x7f | 0x80));
      rest >>>= 7;
    }
    out.write((int) rest);
  }
}
