package dev.coppice.ort;

import dev.coppice.ops.PrivateFolder;
import dev.coppice.ops.Sha256;
import java.io.IOException;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One model as ONNX Runtime optimised it on this machine, kept for the next start. A folder that cannot be used costs time, never a result: it is
 * logged and done without.
 */
final class ModelCache {

  private final PrivateFolder folder;
  private final String key;

  private ModelCache(PrivateFolder folder, String key) {
    this.folder = folder;
    this.key = key;
  }

  /** What an optimised model depends on. */
  interface Dependencies {
    List<String> list() throws IOException;
  }

  /** The place of this model in this folder; empty if it cannot be written to. */
  static Optional<ModelCache> at(Path folder, String name, Dependencies dependencies) {
    try {
      String hash = Sha256.of(String.join("\n", dependencies.list()).getBytes(StandardCharsets.UTF_8));
      return Optional.of(new ModelCache(PrivateFolder.at(folder, "name another folder for optimised models"), name + "-" + hash));
    } catch (IOException e) {
      log().warn("optimised models cannot be kept in {} ({}); models are optimised at every start", folder, e.toString());
      return Optional.empty();
    }
  }

  /** The kept model, mapped: its pages are shared by all who have it open, and leave memory under pressure. */
  Optional<MappedByteBuffer> find() {
    try {
      Optional<Path> file = folder.find(key);
      if (file.isEmpty()) {
        return Optional.empty();
      }
      try (FileChannel channel = FileChannel.open(file.get(), StandardOpenOption.READ)) {
        return Optional.of(channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()));
      }
    } catch (IOException e) {
      log().warn("the optimised model {} cannot be read ({}); it is made again", key, e.toString());
      return Optional.empty();
    }
  }

  /** A file for a new model; empty if there is no room. */
  Optional<Path> part() {
    try {
      return Optional.of(folder.part());
    } catch (IOException e) {
      return missed(e);
    }
  }

  /** Keeps a model that ONNX Runtime has written. */
  void keep(Path part) {
    try {
      folder.keep(part, key);
    } catch (IOException e) {
      missed(e);
    }
  }

  /** Removes a part that is not to be kept. */
  void drop(Path part) {
    try {
      Files.deleteIfExists(part);
    } catch (IOException e) {
      missed(e);
    }
  }

  private static Logger log() {
    return LoggerFactory.getLogger(ModelCache.class);
  }

  private Optional<Path> missed(IOException e) {
    log().warn("the optimised model {} cannot be kept ({}); the next start optimises again", key, e.toString());
    return Optional.empty();
  }
}
