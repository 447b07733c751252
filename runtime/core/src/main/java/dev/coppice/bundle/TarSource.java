package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** A bundle in a tar, at its top or in one folder. It is read where it lies: nothing is unpacked. */
final class TarSource implements Source {

  private final Path tar;
  private final Map<String, TarIndex.Entry> files;

  private TarSource(Path tar, Map<String, TarIndex.Entry> files) {
    this.tar = tar;
    this.files = files;
  }

  static TarSource open(Path tar) {
    try (FileChannel channel = FileChannel.open(tar, StandardOpenOption.READ)) {
      Map<String, TarIndex.Entry> all = TarIndex.of(tar, channel);
      String top = all.containsKey(BundleFiles.MANIFEST) || all.isEmpty() ? "" : all.keySet().iterator().next().replaceFirst("/.*|[^/]*$", "/");
      Map<String, TarIndex.Entry> files = new TreeMap<>();
      all.forEach((name, entry) -> {
        if (!name.startsWith(top)) {
          throw new BundleException("surplus", tar.resolve(name) + ": expected all files in one folder, found this one outside of it; pack the bundle's folder alone.");
        }
        files.put(name.substring(top.length()), entry);
      });
      return new TarSource(tar, files);
    } catch (IOException e) {
      throw FolderSource.unreadable(tar, e);
    }
  }

  @Override
  public Set<String> names() {
    return files.keySet();
  }

  @Override
  public Path place(String name) {
    return tar.resolve(name);
  }

  @Override
  public byte[] read(String name, long most) {
    TarIndex.Entry entry = entry(name, most);
    try (FileChannel channel = FileChannel.open(tar, StandardOpenOption.READ)) {
      return bytes(channel, entry.offset(), (int) entry.bytes());
    } catch (IOException e) {
      throw FolderSource.unreadable(tar, e);
    }
  }

  @Override
  public void read(String name, ByteBuffer into) {
    TarIndex.Entry entry = entry(name, into.remaining());
    try (FileChannel channel = FileChannel.open(tar, StandardOpenOption.READ)) {
      fill(channel, entry.offset(), into.slice(into.position(), (int) entry.bytes()));
      into.position(into.position() + (int) entry.bytes());
    } catch (IOException e) {
      throw FolderSource.unreadable(tar, e);
    }
  }

  private TarIndex.Entry entry(String name, long most) {
    TarIndex.Entry entry = files.get(name);
    if (entry == null) {
      throw new BundleException("missing", place(name) + ": no such file; pack the bundle again.");
    }
    if (entry.bytes() > most) {
      throw new BundleException("changed", place(name) + ": expected at most " + most + " bytes, found " + entry.bytes() + "; pack the bundle again.");
    }
    return entry;
  }

  /** Exactly so many bytes, from one place. */
  static byte[] bytes(FileChannel channel, long offset, int count) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(count);
    fill(channel, offset, bytes);
    return bytes.array();
  }

  private static void fill(FileChannel channel, long offset, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      if (channel.read(bytes, offset + bytes.position()) < 0) {
        throw new IOException("it ends " + bytes.remaining() + " bytes early");
      }
    }
  }
}
