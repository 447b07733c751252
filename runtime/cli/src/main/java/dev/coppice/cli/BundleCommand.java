package dev.coppice.cli;

import dev.coppice.Coppice;
import dev.coppice.api.BundleInfo;
import dev.coppice.api.BundleStore;
import dev.coppice.api.InstallOption;
import dev.coppice.api.InstalledBundle;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Trust;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** {@code coppice bundle verify|install|rollback|list|collect}. */
@Command(name = "bundle", mixinStandardHelpOptions = true, description = "Verifies bundles, installs them in versions, and goes back.", synopsisSubcommandLabel = "COMMAND")
final class BundleCommand {

  private static final String SOURCE = "The bundle folder, or the tar of one.";

  @Spec private CommandSpec command;

  @Option(
      names = "--store",
      paramLabel = "DIR",
      scope = ScopeType.INHERIT,
      description = "Where bundles are installed; else the environment's COPPICE_STORE, else ~/.local/share/coppice/bundles.")
  private Path given;

  private BundleStore store(Trust trust) {
    String fallback = System.getenv().getOrDefault("COPPICE_STORE", Path.of(System.getProperty("user.home"), ".local", "share", "coppice", "bundles").toString());
    return Coppice.store(given == null ? Path.of(fallback) : given, OpenOptions.defaults().withTrust(trust));
  }

  @Command(description = "Verifies every file of a bundle, and who signed it, without running it.", mixinStandardHelpOptions = true)
  int verify(@Parameters(paramLabel = "BUNDLE", description = SOURCE) Path source, @Mixin TrustOption option) {
    Trust trust = option.trust();
    BundleInfo info = Coppice.verify(source, trust);
    String signed = switch (trust.policy()) {
      case REQUIRE -> "signed by a pinned key";
      case WARN -> "a signature was not required";
      case OFF -> "the signature was not looked at";
    };
    print(info.name() + " " + info.version() + ": " + info.fileBytes().size() + " files are as the manifest says, " + signed);
    return 0;
  }

  @Command(description = "Copies a bundle in, verifies it, runs its golden cases, and makes it the current version.", mixinStandardHelpOptions = true)
  int install(
      @Parameters(paramLabel = "BUNDLE", description = SOURCE) Path source,
      @Option(names = "--allow-older", description = "Put an older version in place of a newer one.") boolean older,
      @Mixin TrustOption option) {
    InstallOption[] options = older ? new InstallOption[] {InstallOption.ALLOW_OLDER} : new InstallOption[0];
    return print(List.of(store(option.trust()).install(source, options)));
  }

  @Command(description = "Makes the version before the current one current again.", mixinStandardHelpOptions = true)
  int rollback(@Parameters(paramLabel = "NAME", description = "The bundle's name.") String name, @Mixin TrustOption option) {
    return print(List.of(store(option.trust()).rollback(name)));
  }

  @Command(description = "Lists what is installed.", mixinStandardHelpOptions = true)
  int list() {
    return print(store(Trust.off()).list());
  }

  @Command(description = "Deletes the versions that are neither current nor the one to go back to.", mixinStandardHelpOptions = true)
  int collect(@Parameters(paramLabel = "NAME", description = "The bundle's name.") String name) {
    int deleted = store(Trust.off()).collect(name);
    print(name + ": " + deleted + (deleted == 1 ? " version deleted" : " versions deleted"));
    return 0;
  }

  private int print(List<InstalledBundle> bundles) {
    for (InstalledBundle bundle : bundles) {
      print(bundle.name() + " " + bundle.version() + " " + bundle.folder() + (bundle.current() ? " current" : "") + (bundle.previous() ? " previous" : ""));
    }
    return 0;
  }

  private void print(String line) {
    PrintWriter out = command.commandLine().getOut();
    out.println(line);
    out.flush();
  }
}
