# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sundew_global_optspecs
    string join \n h/help V/version
end

function __fish_sundew_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sundew_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sundew_using_subcommand
    set -l cmd (__fish_sundew_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sundew -n "__fish_sundew_needs_command" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_needs_command" -s V -l version -d 'Print version'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "run" -d 'Serve until told to stop'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "check" -d 'Validate a static file with all it refers to, a dynamic file alone, or both in one'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "config" -d 'Show the effective configuration, or the schemas of its files'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "demo" -d 'Three small servers and sundew in front of them, to watch stickiness work'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "servers" -d 'Look at the servers of a running sundew, drain them, take them down'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "audit" -d 'Say which services rely on stickiness, and how safely'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "cookie" -d 'Say what the value of a sticky cookie means, or make one'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "explain" -d 'Say which router, service and server a request would go to, and why'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "keygen" -d 'Write a new key for sealed sticky cookies'
complete -c sundew -n "__fish_sundew_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sundew -n "__fish_sundew_using_subcommand run" -l config -d 'Traefik static file (YAML or TOML); may hold the dynamic part as well' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand run" -l listen -d 'Address to listen on, such as :8080 or 127.0.0.1:8080; may be repeated' -r
complete -c sundew -n "__fish_sundew_using_subcommand run" -l server -d 'Server to send requests to, such as http://10.0.0.1:8080; may be repeated' -r
complete -c sundew -n "__fish_sundew_using_subcommand run" -l cookie -d 'Name of the sticky cookie' -r
complete -c sundew -n "__fish_sundew_using_subcommand run" -l workers -d 'Data-plane threads [default: one for every CPU that the process may use]' -r
complete -c sundew -n "__fish_sundew_using_subcommand run" -l no-sticky -d 'Balance every request anew'
complete -c sundew -n "__fish_sundew_using_subcommand run" -l lenient -d 'Warn about what is not supported, and leave out what is wrong by itself, as Traefik does'
complete -c sundew -n "__fish_sundew_using_subcommand run" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand check" -l fail-on -d 'Exit with 1 when something at least that bad was found' -r -f -a "warning\t''
error\t''"
complete -c sundew -n "__fish_sundew_using_subcommand check" -l lenient -d 'Judge as `sundew run --lenient` does'
complete -c sundew -n "__fish_sundew_using_subcommand check" -l short -d 'One line a problem, as `sundew run` logs them'
complete -c sundew -n "__fish_sundew_using_subcommand check" -l json -d 'Print one JSON object'
complete -c sundew -n "__fish_sundew_using_subcommand check" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand config; and not __fish_seen_subcommand_from show schema help" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand config; and not __fish_seen_subcommand_from show schema help" -f -a "show" -d 'Print every value that counts, defaults too, and where each comes from'
complete -c sundew -n "__fish_sundew_using_subcommand config; and not __fish_seen_subcommand_from show schema help" -f -a "schema" -d 'Print the JSON Schema of a kind of file'
complete -c sundew -n "__fish_sundew_using_subcommand config; and not __fish_seen_subcommand_from show schema help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sundew -n "__fish_sundew_using_subcommand config; and __fish_seen_subcommand_from show" -l lenient -d 'Judge as `sundew run --lenient` does'
complete -c sundew -n "__fish_sundew_using_subcommand config; and __fish_seen_subcommand_from show" -l yaml -d 'Print YAML with comments (the default)'
complete -c sundew -n "__fish_sundew_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object'
complete -c sundew -n "__fish_sundew_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand config; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print every value that counts, defaults too, and where each comes from'
complete -c sundew -n "__fish_sundew_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "schema" -d 'Print the JSON Schema of a kind of file'
complete -c sundew -n "__fish_sundew_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sundew -n "__fish_sundew_using_subcommand demo" -l listen -d 'Address to listen on [default: 127.0.0.1:8000, or any free port when that is taken]' -r
complete -c sundew -n "__fish_sundew_using_subcommand demo" -l workers -d 'Data-plane threads [default: one for every CPU that the process may use]' -r
complete -c sundew -n "__fish_sundew_using_subcommand demo" -l chaos -d 'Stop and start servers in turn, without a key press'
complete -c sundew -n "__fish_sundew_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and not __fish_seen_subcommand_from list drain down ready help" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and not __fish_seen_subcommand_from list drain down ready help" -f -a "list" -d 'State, health, requests in flight and pins seen of every server'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and not __fish_seen_subcommand_from list drain down ready help" -f -a "drain" -d 'No new clients; those that are pinned stay'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and not __fish_seen_subcommand_from list drain down ready help" -f -a "down" -d 'Nobody is sent there'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and not __fish_seen_subcommand_from list drain down ready help" -f -a "ready" -d 'Ends what was ordered'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and not __fish_seen_subcommand_from list drain down ready help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from list" -l window -d 'Count clients that came with a pin within this time' -r
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from list" -l socket -d 'The file of `sundew.api.socket`' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from list" -l config -d 'The static file that it runs with' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from list" -l json -d 'Print the answer as JSON'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from drain" -l deadline -d 'When it goes down for its pinned clients too: 30m, or 2030-01-31T18:00:00Z' -r
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from drain" -l socket -d 'The file of `sundew.api.socket`' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from drain" -l config -d 'The static file that it runs with' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from drain" -l force -d 'Also when no server would be left for new clients'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from drain" -l json -d 'Print the answer as JSON'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from drain" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from down" -l socket -d 'The file of `sundew.api.socket`' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from down" -l config -d 'The static file that it runs with' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from down" -l force -d 'Also when no server would be left for new clients'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from down" -l json -d 'Print the answer as JSON'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from down" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from ready" -l socket -d 'The file of `sundew.api.socket`' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from ready" -l config -d 'The static file that it runs with' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from ready" -l force -d 'Also when no server would be left for new clients'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from ready" -l json -d 'Print the answer as JSON'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from ready" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from help" -f -a "list" -d 'State, health, requests in flight and pins seen of every server'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from help" -f -a "drain" -d 'No new clients; those that are pinned stay'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from help" -f -a "down" -d 'Nobody is sent there'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from help" -f -a "ready" -d 'Ends what was ordered'
complete -c sundew -n "__fish_sundew_using_subcommand servers; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sundew -n "__fish_sundew_using_subcommand audit" -l fail-on -d 'Exit with 1 when something at least that bad was found' -r -f -a "warning\t''
error\t''"
complete -c sundew -n "__fish_sundew_using_subcommand audit" -l json -d 'Print one JSON object'
complete -c sundew -n "__fish_sundew_using_subcommand audit" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and not __fish_seen_subcommand_from explain make help" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and not __fish_seen_subcommand_from explain make help" -f -a "explain" -d 'Which service and server a value means, in which format, and how old it is'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and not __fish_seen_subcommand_from explain make help" -f -a "make" -d 'Print a cookie, as `name=value`, that pins to a server'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and not __fish_seen_subcommand_from explain make help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from explain" -l config -d 'A static file with all that it refers to, or a dynamic file alone' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from explain" -l lenient -d 'Judge as `sundew run --lenient` does'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from explain" -l json -d 'For programs'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from make" -l config -d 'A static file with all that it refers to, or a dynamic file alone' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from make" -l lenient -d 'Judge as `sundew run --lenient` does'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from make" -l json -d 'For programs'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from make" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Which service and server a value means, in which format, and how old it is'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from help" -f -a "make" -d 'Print a cookie, as `name=value`, that pins to a server'
complete -c sundew -n "__fish_sundew_using_subcommand cookie; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sundew -n "__fish_sundew_using_subcommand explain" -l config -d 'The static file' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand explain" -l socket -d 'Ask the sundew behind this file of `sundew.api.socket`, not the one that the file tells' -r -F
complete -c sundew -n "__fish_sundew_using_subcommand explain" -l cookie -d 'A Cookie field, such as `sid=1; theme=dark`' -r
complete -c sundew -n "__fish_sundew_using_subcommand explain" -l header -d 'A field, such as `X-Api: 2`; may be repeated' -r
complete -c sundew -n "__fish_sundew_using_subcommand explain" -l method -r
complete -c sundew -n "__fish_sundew_using_subcommand explain" -l from -d 'Where the connection comes from' -r
complete -c sundew -n "__fish_sundew_using_subcommand explain" -l lenient -d 'Judge as `sundew run --lenient` does'
complete -c sundew -n "__fish_sundew_using_subcommand explain" -l json -d 'For programs'
complete -c sundew -n "__fish_sundew_using_subcommand explain" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand keygen" -l force -d 'Replace the file: values sealed with its key are void then'
complete -c sundew -n "__fish_sundew_using_subcommand keygen" -s h -l help -d 'Print help'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "run" -d 'Serve until told to stop'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "check" -d 'Validate a static file with all it refers to, a dynamic file alone, or both in one'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "config" -d 'Show the effective configuration, or the schemas of its files'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "demo" -d 'Three small servers and sundew in front of them, to watch stickiness work'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "servers" -d 'Look at the servers of a running sundew, drain them, take them down'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "audit" -d 'Say which services rely on stickiness, and how safely'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "cookie" -d 'Say what the value of a sticky cookie means, or make one'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "explain" -d 'Say which router, service and server a request would go to, and why'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "keygen" -d 'Write a new key for sealed sticky cookies'
complete -c sundew -n "__fish_sundew_using_subcommand help; and not __fish_seen_subcommand_from run check config demo servers audit cookie explain keygen help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sundew -n "__fish_sundew_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Print every value that counts, defaults too, and where each comes from'
complete -c sundew -n "__fish_sundew_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "schema" -d 'Print the JSON Schema of a kind of file'
complete -c sundew -n "__fish_sundew_using_subcommand help; and __fish_seen_subcommand_from servers" -f -a "list" -d 'State, health, requests in flight and pins seen of every server'
complete -c sundew -n "__fish_sundew_using_subcommand help; and __fish_seen_subcommand_from servers" -f -a "drain" -d 'No new clients; those that are pinned stay'
complete -c sundew -n "__fish_sundew_using_subcommand help; and __fish_seen_subcommand_from servers" -f -a "down" -d 'Nobody is sent there'
complete -c sundew -n "__fish_sundew_using_subcommand help; and __fish_seen_subcommand_from servers" -f -a "ready" -d 'Ends what was ordered'
complete -c sundew -n "__fish_sundew_using_subcommand help; and __fish_seen_subcommand_from cookie" -f -a "explain" -d 'Which service and server a value means, in which format, and how old it is'
complete -c sundew -n "__fish_sundew_using_subcommand help; and __fish_seen_subcommand_from cookie" -f -a "make" -d 'Print a cookie, as `name=value`, that pins to a server'
