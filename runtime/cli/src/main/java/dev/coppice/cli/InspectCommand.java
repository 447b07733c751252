package dev.coppice.cli;

import dev.coppice.Coppice;
import dev.coppice.api.BundleInfo;
import dev.coppice.api.Classifier;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Preprocessing;
import dev.coppice.api.Rung;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code coppice inspect}. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    description = "Verifies a bundle, runs its golden cases, and says what is in it.")
final class InspectCommand implements Callable<Integer> {

  @Spec private CommandSpec command;

  @Parameters(paramLabel = "BUNDLE", description = "The bundle folder, or the tar of one.")
  private Path bundle;

  @Mixin private TrustOption trust;

  @Override
  public Integer call() {
    try (Classifier classifier = Coppice.open(bundle, OpenOptions.defaults().withTrust(trust.trust()))) {
      classifier.selfTest();
      print(classifier.bundle());
    }
    return 0;
  }

  private void print(BundleInfo info) {
    PrintWriter out = command.commandLine().getOut();
    Preprocessing input = info.preprocessing();
    long bytes = info.fileBytes().values().stream().mapToLong(Long::longValue).sum();
    out.printf(Locale.ROOT, "%s %s%n", info.name(), info.version());
    out.printf(Locale.ROOT, "  input      %d x %d pixels, short side resized to %d%n", input.crop(), input.crop(), input.shortSide());
    out.printf(Locale.ROOT, "  tokens     %d patches (%d x %d) and %d before them%n", info.grid() * info.grid(), info.grid(), info.grid(), info.prefixTokens());
    out.printf(Locale.ROOT, "  classes    %d%n", info.labels().size());
    out.printf(Locale.ROOT, "  operators  %s%n", info.operators().isEmpty() ? "none of Coppice's" : String.join(", ", info.operators()));
    out.printf(Locale.ROOT, "  precision  %s%n", info.precision());
    out.printf(Locale.ROOT, "  files      %d, %.1f MB: sizes and hashes are right%n", info.fileBytes().size(), bytes / 1e6);
    out.printf(Locale.ROOT, "  golden     outputs are right on this machine%n");
    if (!info.ladder().isEmpty()) {
      out.printf(Locale.ROOT, "  ladder%s%n", info.accuracyData().map(data -> " (top-1 on " + data + ")").orElse(""));
    }
    for (Rung rung : info.ladder()) {
      String counts = rung.keep().stream().map(String::valueOf).collect(Collectors.joining(","));
      String top1 = rung.top1().isPresent() ? String.format(Locale.ROOT, "%6.2f %%", rung.top1().getAsDouble()) : "";
      String mark = info.defaultRung().filter(rung.name()::equals).isPresent() ? "  default" : "";
      out.printf(Locale.ROOT, "    %-10s keep %-14s from --keep %.2f  %5.0f M multiply-adds %s%s%n", rung.name(), counts, rung.keepFrom(), rung.macs() / 1e6, top1, mark);
    }
    out.flush();
  }
}
