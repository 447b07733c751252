package dev.coppice.cli;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.ImageException;
import dev.coppice.api.Keep;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code coppice classify}. */
@Command(
    name = "classify",
    mixinStandardHelpOptions = true,
    description = "Says what is on JPEG or PNG images, where the time went, and which tokens were kept.")
final class ClassifyCommand implements Callable<Integer> {

  @Spec private CommandSpec command;

  @Mixin private BundleOption bundle;

  @Mixin private TrustOption trust;

  @Mixin private OpeningOption opening;

  @Option(
      names = "--keep",
      paramLabel = "BUDGET",
      converter = KeepConverter.class,
      description = "Tokens to spend: a ratio (0.5), counts (70,49) or a rung (low). Default: the bundle's default rung.")
  private Keep keep;

  @Option(names = "--top", paramLabel = "N", defaultValue = "5", description = "Labels to show. Default: ${DEFAULT-VALUE}.")
  private int top;

  @Option(
      names = "--repeat",
      paramLabel = "N",
      defaultValue = "1",
      description = "Run each image N times and report the run of median time. The first run after the start is slower.")
  private int repeat;

  @Option(names = "--output", paramLabel = "FORMAT", defaultValue = "text", description = "text, or json: one object a line. Default: text.")
  private OutputFormat output;

  @Option(names = "--picture", paramLabel = "DIR", description = "Also draw each image with its kept tokens as a PNG in DIR.")
  private Path pictures;

  @Parameters(arity = "1..*", paramLabel = "IMAGE", description = "JPEG or PNG files; @FILE reads names from a file, one a line.")
  private List<Path> images;

  @Override
  public Integer call() throws IOException {
    if (repeat < 1) {
      throw new IllegalArgumentException("repeat must be at least 1: " + repeat);
    }
    RunOptions options = RunOptions.defaults().withTop(top);
    RunOptions budgeted = keep == null ? options : options.withKeep(keep);
    PrintWriter out = command.commandLine().getOut();
    int failures = 0;
    try (Classifier classifier = Coppice.open(bundle.path(), opening.options(trust))) {
      for (Path file : images) {
        try {
          Image image = Coppice.image(file);
          Result result = median(classifier, image, budgeted);
          out.println(output == OutputFormat.JSON ? ResultJson.line(file, result) : ResultText.of(file, result, classifier.bundle()));
          if (pictures != null) {
            KeptPicture.write(pictures, file, image, result, classifier.bundle());
          }
        } catch (ImageException e) {
          failures++;
          command.commandLine().getErr().println("coppice: " + Main.sentence(e));
        }
      }
    }
    out.flush();
    return failures == 0 ? 0 : 1;
  }

  private Result median(Classifier classifier, Image image, RunOptions options) {
    List<Result> results = new ArrayList<>(repeat);
    for (int i = 0; i < repeat; i++) {
      results.add(classifier.classify(image, options));
    }
    results.sort(Comparator.comparingLong(r -> r.timings().run()));
    return results.get(repeat / 2);
  }

  /** Turns the refusal of a budget into a usage error. */
  static final class KeepConverter implements ITypeConverter<Keep> {
    @Override
    public Keep convert(String value) {
      try {
        return Keep.parse(value);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
