package dev.coppice.cli;

import java.nio.file.Path;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code --bundle}, with the shipped bundle as default. */
final class BundleOption {

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = "--bundle",
      paramLabel = "DIR",
      description = "The bundle folder, or the tar of one; else the environment's COPPICE_BUNDLE, else the one that came with the command.")
  private Path given;

  Path path() {
    if (given != null) {
      return given;
    }
    String fallback = System.getenv().getOrDefault("COPPICE_BUNDLE", System.getProperty("coppice.bundle"));
    if (fallback == null) {
      throw new CommandLine.ParameterException(command.commandLine(), "No bundle: give --bundle DIR or set COPPICE_BUNDLE.");
    }
    return Path.of(fallback);
  }
}
