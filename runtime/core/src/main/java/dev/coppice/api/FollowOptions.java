package dev.coppice.api;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/**
 * Choices for following a bundle in a store.
 *
 * @param open how each version is opened
 * @param incoming folder where people copy new versions, as folders or tars: what is complete and trusted is installed in the
 *     store and deleted there
 * @param poll how often to look where the file system does not tell, 10 ms to an hour
 * @param probation runs that a new version must do well before the one before it is given up, 0..10000
 * @param overlap whether a new version is opened beside the one that serves; if not, one model is in memory at a time, and requests
 *     wait while it is changed
 */
public record FollowOptions(OpenOptions open, Optional<Path> incoming, Duration poll, int probation, boolean overlap) {

  /** Checks the ranges. */
  public FollowOptions {
    Objects.requireNonNull(poll, "poll");
    Objects.requireNonNull(open, "open");
    Objects.requireNonNull(incoming, "incoming");
    if (poll.compareTo(Duration.ofMillis(10)) < 0 || poll.compareTo(Duration.ofHours(1)) > 0) {
      throw new IllegalArgumentException("poll must be 10 ms to an hour: " + poll);
    }
    if (probation < 0 || probation > 10_000) {
      throw new IllegalArgumentException("probation must be 0..10000: " + probation);
    }
  }

  /** Default opening, no incoming folder, a look every 5 s, ten runs of probation, a new version opened beside the old one. */
  public static FollowOptions defaults() {
    return new FollowOptions(OpenOptions.defaults(), Optional.empty(), Duration.ofSeconds(5), 10, true);
  }

  /** The same with another way of opening. */
  public FollowOptions withOpen(OpenOptions newOpen) {
    return new FollowOptions(newOpen, incoming, poll, probation, overlap);
  }

  /** The same with a folder for new versions. */
  public FollowOptions withIncoming(Path newIncoming) {
    return new FollowOptions(open, Optional.of(Objects.requireNonNull(newIncoming, "newIncoming")), poll, probation, overlap);
  }

  /** The same with another time between looks. */
  public FollowOptions withPoll(Duration newPoll) {
    return new FollowOptions(open, incoming, newPoll, probation, overlap);
  }

  /** The same with another number of runs. */
  public FollowOptions withProbation(int newProbation) {
    return new FollowOptions(open, incoming, poll, newProbation, overlap);
  }

  /** The same with two versions in memory while they change, or one. */
  public FollowOptions withOverlap(boolean newOverlap) {
    return new FollowOptions(open, incoming, poll, probation, newOverlap);
  }
}
