package dev.coppice.cli;

import dev.coppice.api.Trust;
import dev.coppice.api.Version;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code --trust}, {@code --signature} and {@code --min-version}: whose bundles may be used. */
final class TrustOption {

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(names = "--trust", paramLabel = "KEY.pem", description = "A public key, or a folder of them (*.pem): bundles that one of them has signed are trusted.")
  private List<Path> keys = List.of();

  @Option(
      names = "--signature",
      paramLabel = "POLICY",
      description = "What happens to other bundles: require (they are refused), warn or off. Default: require with --trust, else off.")
  private Trust.Policy policy;

  @Option(names = "--min-version", paramLabel = "VERSION", converter = VersionConverter.class, description = "The oldest version that may be used.")
  private Version minVersion;

  Trust trust() {
    try {
      Trust.Policy effective = policy != null ? policy : keys.isEmpty() ? Trust.Policy.OFF : Trust.Policy.REQUIRE;
      Trust trust = Trust.pinned(effective, keys.toArray(Path[]::new));
      return Optional.ofNullable(minVersion).map(trust::withMinVersion).orElse(trust);
    } catch (IllegalArgumentException e) {
      throw new CommandLine.ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  /** Turns the refusal of a version into a usage error. */
  static final class VersionConverter implements CommandLine.ITypeConverter<Version> {
    @Override
    public Version convert(String value) {
      try {
        return Version.parse(value);
      } catch (IllegalArgumentException e) {
        throw new CommandLine.TypeConversionException(e.getMessage());
      }
    }
  }
}
