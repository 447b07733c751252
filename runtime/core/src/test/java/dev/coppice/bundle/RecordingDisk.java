package dev.coppice.bundle;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A disk that remembers what was done to it. */
final class RecordingDisk extends Disk {

  /** One change of a folder's entries; a sync makes those of its folder last. */
  record Operation(Kind kind, Path path, Path to, byte[] bytes) {
    enum Kind { FOLDER, WRITE, RENAME, LINK, DELETE, SYNC }

    /** The folder whose sync makes this last. */
    Path parent() {
      return (kind == Kind.RENAME ? to : path).getParent();
    }
  }

  private final List<Operation> operations = new ArrayList<>();

  List<Operation> operations() {
    return operations;
  }

  private void record(Operation.Kind kind, Path path, Path to, byte[] bytes) {
    operations.add(new Operation(kind, path, to, bytes));
  }

  @Override
  void folder(Path folder) throws IOException {
    List<Path> missing = new ArrayList<>();
    for (Path path = folder; !Files.exists(path); path = path.getParent()) {
      missing.add(0, path);
    }
    missing.forEach(path -> record(Operation.Kind.FOLDER, path, null, null));
    super.folder(folder);
  }

  @Override
  void write(Path file, byte[] bytes) throws IOException {
    record(Operation.Kind.WRITE, file, null, bytes);
    super.write(file, bytes);
  }

  @Override
  void rename(Path from, Path to) throws IOException {
    record(Operation.Kind.RENAME, from, to, null);
    super.rename(from, to);
  }

  @Override
  void link(Path link, Path target) throws IOException {
    record(Operation.Kind.LINK, link, target, null);
    super.link(link, target);
  }

  @Override
  void delete(Path path) throws IOException {
    boolean there = Files.exists(path, LinkOption.NOFOLLOW_LINKS);
    super.delete(path); // its entries come here one by one
    if (there) {
      record(Operation.Kind.DELETE, path, null, null);
    }
  }

  @Override
  void sync(Path folder) throws IOException {
    record(Operation.Kind.SYNC, folder, null, null);
    super.sync(folder);
  }
}
