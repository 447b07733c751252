package dev.coppice.follow;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import java.nio.FloatBuffer;

/** A classifier of the version that is current. Each run is of one version from its beginning to its end. */
public final class FollowedClassifier implements Classifier {

  private final Current<Classifier> current;

  /** Closes it in {@link #close()}. */
  public FollowedClassifier(Current<Classifier> current) {
    this.current = current;
  }

  @Override
  public BundleInfo bundle() {
    return current.last().bundle();
  }

  @Override
  public void selfTest() {
    current.run(classifier -> {
      classifier.selfTest();
      return true;
    });
  }

  @Override
  public Result classify(Image image, RunOptions options) {
    return current.run(classifier -> classifier.classify(image, options));
  }

  @Override
  public void infer(FloatBuffer tensor, RunOptions options, FloatBuffer logits) {
    current.run(classifier -> {
      classifier.infer(tensor, options, logits);
      return true;
    });
  }

  @Override
  public void close() {
    current.close();
  }
}
