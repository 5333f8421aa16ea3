# Take every package out of a configured root but those named as arguments. Runs inside that root.
# One process, only what perl-base has: by the end perl, sh and dpkg themselves may be gone.
# What a maintainer script generated stays, unless it only served a package that leaves.
use strict;
use warnings;

my %keep = map { $_ => 1 } @ARGV;
my $dpkg = '/var/lib/dpkg';

sub slurp { my ($path) = @_; open my $in, '<', $path or die "$path: $!\n"; local $/; my $text = <$in>; return $text // '' }

sub spit {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
}

# In place, so that mode and owner stay.
sub filter_lines {
    my ($path, $wanted) = @_;
    return if !-f $path;
    my $before = slurp($path);
    my $after = join '', grep { $wanted->($_) } split /^/m, $before;
    spit($path, $after) if $after ne $before;
}

sub entries { my ($folder) = @_; opendir my $handle, $folder or return; return sort grep { !/\A\.\.?\z/ } readdir $handle }

# A path as a merged /usr has it: two packages may name one file by both of its names.
my %alias = map { ; "/$_" => "/usr/$_" } grep { ; (readlink("/$_") // q{}) eq "usr/$_" } entries("/");

sub settled {
    my ($path) = @_;
    $path =~ s{\A(/[^/]+)(?=/)}{$alias{$1} // $1}e;
    return $path;
}

sub package_of { my ($file) = @_; my ($name) = $file =~ /\A([^:.][^:]*?)(?::[^.]+)?\.[a-z0-9]+\z/; return $name }

# The database: which packages leave, and which paths are theirs alone.
my @stanzas = split /\n\n+/, slurp("$dpkg/status");
my (@stay, %leave);
for my $stanza (@stanzas) {
    my ($name) = $stanza =~ /^Package: (\S+)/m or next;
    if ($keep{$name}) { push @stay, $stanza }
    else { $leave{$name} = 1 }
}
my (%owned, %gone);
for my $file (grep { /\.list\z/ } entries("$dpkg/info")) {
    my $into = $leave{ package_of($file) } ? \%gone : \%owned;
    $into->{ settled($_) } = 1 for grep { length && $_ ne '/.' } split /\n/, slurp("$dpkg/info/$file");
}
delete @gone{ keys %owned };

# A file that a package which leaves had diverted goes back to its place; one it had diverted away is at another name.
my (@diversions, @back);
my @lines = -f "$dpkg/diversions" ? split(/\n/, slurp("$dpkg/diversions")) : ();
while (my ($from, $to, $by) = splice @lines, 0, 3) {
    if ($leave{$by}) { push @back, [settled($from), settled($to)] }
    else {
        push @diversions, "$from\n$to\n$by\n";
        if (delete $gone{ settled($from) }) { $gone{ settled($to) } = 1 }
    }
}

# Alternatives that leave are taken out by the tool that manages them, while it is still here.
for my $name (entries("$dpkg/alternatives")) {
    my @paths = grep { m{\A/} && $gone{ settled($_) } } split /\n/, slurp("$dpkg/alternatives/$name");
    for my $path (@paths) {
        system('update-alternatives', '--log', '/dev/null', '--quiet', '--remove', $name, $path) == 0 or die "update-alternatives: $?\n";
    }
}

# The files, then the folders that they leave empty, deepest first.
my @folders;
for my $path (sort keys %gone) {
    if (-d $path && !-l $path) { push @folders, $path }
    elsif (-l $path || -e _) { unlink $path or die "$path: $!\n" }
}
for my $pair (@back) {
    my ($from, $to) = @$pair;
    next if !$owned{$from} || !-e $to;
    rename $to, $from or die "$to: $!\n";
}

# What scripts had made for packages that leave and nobody else reads.
my %generated = (
    'debconf'         => ['/var/cache/debconf', '/etc/debconf.conf'],
    'libpam-runtime'  => ['/etc/pam.d', '/var/lib/pam'],
    'init-system-helpers' => ['/var/lib/systemd/deb-systemd-helper-enabled', '/var/lib/systemd/deb-systemd-user-helper-enabled'],
    'login'           => ['/var/log/faillog', '/etc/subuid', '/etc/subgid'],
);

sub sweep {
    my ($path) = @_;
    if (-d $path && !-l $path) { sweep("$path/$_") for entries($path); rmdir $path if !$owned{$path} }
    elsif (!$owned{$path} && (-l $path || -e _)) { unlink $path or die "$path: $!\n" }
}
for my $name (sort keys %generated) { sweep($_) for $leave{$name} ? @{ $generated{$name} } : () }
rmdir $_ for sort { length $b <=> length $a || $a cmp $b } @folders;

# Links that scripts had made to files that left.
sub unlink_dangling {
    my ($folder) = @_;
    for my $name (entries($folder)) {
        my $path = ($folder eq '/' ? '' : $folder) . "/$name";
        if (-l $path) {
            next if $owned{ settled($path) } || -e $path;
            my $target = readlink $path;
            $target = "$folder/$target" if $target !~ m{\A/};
            1 while $target =~ s{/(?!\.\./)[^/]+/\.\.(?=/|\z)}{};
            $target =~ s{/(?:\./)+}{/}g;
            unlink $path if $gone{ settled($target) };
        }
        elsif (-d _ && $path !~ m{\A/(?:dev|proc|run|sys|tmp)\z}) { unlink_dangling($path); rmdir $path if $gone{$path} }
    }
}
unlink_dangling('/');

# The database of what stays.
spit("$dpkg/status", join '', map { s/\n*\z//r . "\n\n" } @stay);
for my $file (entries("$dpkg/info")) {
    my $name = package_of($file) or next;
    if ($leave{$name}) { unlink "$dpkg/info/$file" or die "$file: $!\n" }
}
spit("$dpkg/diversions", join '', @diversions) if -f "$dpkg/diversions";
filter_lines("$dpkg/statoverride", sub { -e((split ' ', $_[0], 4)[3] =~ s/\n\z//r) });
filter_lines("$dpkg/triggers/File", sub { my (undef, $by) = split ' ', $_[0]; !$leave{ $by =~ s{[/:].*}{}r } });
for my $name (grep { /\A[^A-Z]/ } entries("$dpkg/triggers")) {
    my $path = "$dpkg/triggers/$name";
    filter_lines($path, sub { !$leave{ $_[0] =~ s{[/:\n].*}{}sr } });
    unlink $path if -z $path && $name !~ /\A(?:Lock|Unincorp)\z/;
}
unlink "$dpkg/status-old", "$dpkg/diversions-old", "$dpkg/statoverride-old";
filter_lines($_, sub { my $path = $_[0] =~ s/\n\z//r; $path !~ m{\A/} || -e $path }) for '/etc/shells', '/var/lib/shells.state';

# libc-bin stays in every image, and its ldconfig is static: the cache must not name libraries that left.
if (-x '/usr/sbin/ldconfig' || -x '/sbin/ldconfig') {
    system('/sbin/ldconfig') == 0 or die "ldconfig: $?\n";
    unlink '/var/cache/ldconfig/aux-cache';
}
