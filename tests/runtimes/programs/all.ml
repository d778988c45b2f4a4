let sum = ref 0
let lock = Mutex.create ()

let add first =
  let rec go i =
    if i < 100 then begin
      Mutex.lock lock;
      sum := !sum + i;
      Mutex.unlock lock;
      Thread.yield ();
      go (i + 4)
    end in
  go first

let () =
  List.iter Thread.join (List.map (Thread.create add) [0; 1; 2; 3]);
  Printf.printf "threads %d\n%!" !sum;
  let before = Unix.gettimeofday () in
  Thread.delay 0.01;
  if Unix.gettimeofday () -. before >= 0.009 && (Unix.localtime before).Unix.tm_year >= 124 then
    Printf.printf "time passes\n%!";
  Random.self_init ();
  if Random.bits () <> Random.bits () then Printf.printf "random differs\n%!";
  if Array.length Sys.argv < 2 then
    match Unix.system "exit 7" with
    | Unix.WEXITED status -> Printf.printf "subprocess %d\n%!" status
    | _ -> Printf.printf "subprocess ended by a signal\n%!"
    | exception Unix.Unix_error _ -> Printf.printf "subprocess refused\n%!"
