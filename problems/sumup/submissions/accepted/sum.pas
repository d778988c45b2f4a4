program Sum;
var
  n, i: integer;
  x, total: int64;
begin
  readln(n);
  total := 0;
  for i := 1 to n do
  begin
    readln(x);
    total := total + x;
  end;
  writeln(total);
end.
