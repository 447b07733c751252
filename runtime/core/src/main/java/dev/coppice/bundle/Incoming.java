package dev.coppice.bundle;

import dev.coppice.api.BundleStore;
import dev.coppice.api.CoppiceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder where bundles are copied in, as folders or tars. A bundle is complete when its hashes say so: no marker, no name
 * and no time tells that a copy has ended. What has been installed is deleted; what is refused stays until it changes.
 */
public final class Incoming {

  private static final Logger LOG = LoggerFactory.getLogger(Incoming.class);
  private static final String TAKEN = ".taken";
  private static final int MOST_FILES = 2 * Source.MOST_FILES;

  private final Path folder;
  private final BundleStore store;
  private final Disk disk = new Disk();
  private final Map<Path, List<String>> tried = new HashMap<>();

  /** Bundles that appear in folder go into store. */
  public Incoming(Path folder, BundleStore store) {
    this.folder = folder;
    this.store = store;
  }

  /** Installs what is complete. */
  public void take() {
    try {
      disk.delete(folder.resolve(TAKEN));
      List<Path> entries = Disk.entries(folder);
      entries.removeIf(entry -> entry.getFileName().toString().startsWith("."));
      entries.sort(null);
      tried.keySet().retainAll(entries);
      for (Path entry : entries) {
        List<String> state = state(entry);
        if (!state.equals(tried.put(entry, state))) {
          take(entry);
        }
      }
    } catch (IOException e) {
      LOG.warn("{} cannot be read at present: {}", folder, e.toString());
    }
  }

  private void take(Path entry) throws IOException {
    try {
      store.install(entry);
    } catch (CoppiceException e) {
      LOG.info("{} is not installed as it is: {}", entry.getFileName(), e.getMessage());
      return;
    }
    disk.rename(entry, folder.resolve(TAKEN)); // so that half of it is never seen
    disk.delete(folder.resolve(TAKEN));
  }

  /** Names, sizes and times: as long as they stay, so does the answer. */
  private static List<String> state(Path entry) throws IOException {
    List<String> state = new ArrayList<>();
    try (Stream<Path> walk = Files.walk(entry)) {
      for (Path file : (Iterable<Path>) walk.limit(MOST_FILES)::iterator) {
        BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        state.add(file + " " + attributes.size() + " " + attributes.lastModifiedTime().toMillis());
      }
    }
    state.sort(null);
    return state;
  }
}
