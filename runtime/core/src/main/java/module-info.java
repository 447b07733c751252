/** The library that services embed. Only what is exported here is a promise. */
module dev.coppice.core {
  exports dev.coppice;
  exports dev.coppice.api;
  exports dev.coppice.latency; // measuring, for the JUnit extension and the command line

  requires com.fasterxml.jackson.core; // the bundle's manifest, read as a stream
  requires com.microsoft.onnxruntime; // package ort only
  requires java.management; // does the JVM compile or collect while it is measured? package latency only
  requires jdk.management; // bytes that measuring allocates; package latency only
  requires java.desktop; // ImageIO, package image only
  requires jdk.jfr; // flight recordings, package pipeline only
  requires static transitive org.jspecify; // annotations of what is exported; not needed to run
  requires org.slf4j;
}
