package dev.coppice.follow;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.BundleStore;
import dev.coppice.api.Classifier;
import dev.coppice.api.FollowOptions;
import dev.coppice.api.Image;
import dev.coppice.api.NativeException;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.function.Function;

/** A classifier of the version that is current. Each run is of one version from its beginning to its end. */
public final class FollowedClassifier implements Classifier {

  private final Follower<Classifier> follower;

  /** Opens the current version with open, which tests it, and follows; incoming installs what was copied in. */
  public FollowedClassifier(BundleStore store, String name, FollowOptions options, Runnable incoming, Function<Path, Classifier> open) {
    follower = new Follower<>(store, name, options, incoming, open);
  }

  @Override
  public BundleInfo bundle() {
    Versions<Classifier> versions = follower.versions();
    Versions.Version<Classifier> version = versions.lease();
    try {
      return version.opened().bundle();
    } finally {
      versions.release(version);
    }
  }

  @Override
  public void selfTest() {
    run(classifier -> {
      classifier.selfTest();
      return true;
    });
  }

  @Override
  public Result classify(Image image, RunOptions options) {
    return run(classifier -> classifier.classify(image, options));
  }

  @Override
  public void infer(FloatBuffer tensor, RunOptions options, FloatBuffer logits) {
    run(classifier -> {
      classifier.infer(tensor, options, logits);
      return true;
    });
  }

  private <R> R run(Function<Classifier, R> run) {
    Versions<Classifier> versions = follower.versions();
    while (true) {
      Versions.Version<Classifier> version = versions.lease();
      try {
        R result = run.apply(version.opened());
        versions.passed(version);
        return result;
      } catch (NativeException e) {
        if (!versions.failed(version)) {
          throw e;
        } // else the version before it does the run
      } finally {
        versions.release(version);
      }
    }
  }

  @Override
  public void close() {
    follower.close();
  }
}
