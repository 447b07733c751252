package dev.coppice.cli;

import dev.coppice.api.OpenOptions;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** {@code --threads} and {@code --cache}: how a bundle is opened to be run. */
final class OpeningOption {

  @Option(names = "--threads", paramLabel = "N", description = "Threads of one run. Default: the processors, at most 4.")
  private Integer threads;

  @Option(
      names = "--cache",
      paramLabel = "DIR",
      description = "Keep the optimised model in this folder of one's own, made if missing, and start from it the next time. Default: it is not kept.")
  private Path cache;

  OpenOptions options(TrustOption trust) {
    OpenOptions trusting = OpenOptions.defaults().withTrust(trust.trust());
    OpenOptions threaded = threads == null ? trusting : trusting.withThreads(threads);
    return cache == null ? threaded : threaded.withEngine(threaded.engine().withModelCache(cache));
  }
}
