package dev.coppice.bundle;

import dev.coppice.api.Preprocessing;
import dev.coppice.api.Trust;
import dev.coppice.tensor.Graph;
import dev.coppice.tensor.ModelSpec;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** A bundle that is being opened: what its model needs is read first, the labels and all other files while the model is loaded. */
public final class Opening {

  private final BundleFiles files;
  private final Preprocessing preprocessing;
  private final CompletableFuture<Bundle> bundle = new CompletableFuture<>();

  private Opening(BundleFiles files) {
    this.files = files;
    preprocessing = Bundle.preprocessing(files);
  }

  /**
   * Begins to open a bundle folder or the tar of one.
   *
   * @param time returns when there is time for what the model does not need
   */
  public static Opening of(Path place, Trust trust, Runnable time) {
    Opening opening = new Opening(new BundleFiles(place, trust));
    Thread thread = new Thread(() -> opening.finish(time), "coppice-rest");
    thread.setDaemon(true);
    thread.start();
    return opening;
  }

  private void finish(Runnable time) {
    try {
      time.run();
      bundle.complete(Bundle.of(files, preprocessing));
    } catch (RuntimeException | Error refused) {
      bundle.completeExceptionally(refused);
    }
  }

  /** The model's graph, read and verified when it is asked for. */
  public Graph graph() {
    return files.graph();
  }

  /** What an engine needs to know of the model. */
  public ModelSpec model() {
    return files.manifest().model();
  }

  /** What the model expects of its input. */
  public Preprocessing preprocessing() {
    return preprocessing;
  }

  /**
   * The bundle, once every file but the graph is verified.
   *
   * @throws dev.coppice.api.BundleException if one of them is missing or another
   */
  public Bundle bundle() {
    try {
      return bundle.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException refused) {
        throw refused;
      }
      throw new IllegalStateException(e.getCause());
    }
  }
}
