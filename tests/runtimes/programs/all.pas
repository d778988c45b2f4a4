program all;
{$mode objfpc}{$H+}{$codepage UTF8}
uses cthreads, cwstring, BaseUnix, Unix, Classes, SysUtils, DateUtils;

type
  TAdder = class(TThread)
    First: Integer;
    procedure Execute; override;
  end;

var
  Sum: LongInt;

procedure TAdder.Execute;
var i: Integer;
begin
  i := First;
  while i < 100 do begin
    InterlockedExchangeAdd(Sum, i);
    i := i + 4;
  end;
end;

procedure Threads;
var adders: array[0..3] of TAdder; i: Integer;
begin
  for i := 0 to 3 do begin
    adders[i] := TAdder.Create(True);
    adders[i].First := i;
    adders[i].Start;
  end;
  for i := 0 to 3 do begin
    adders[i].WaitFor;
    adders[i].Free;
  end;
  WriteLn('threads ', Sum);
end;

procedure Differs;
var source: THandle; one, two: Int64;
begin
  source := FileOpen('/dev/urandom', fmOpenRead);
  if (FileRead(source, one, 8) = 8) and (FileRead(source, two, 8) = 8) and (one <> two) then
    WriteLn('random differs');
  FileClose(source);
end;

var
  before: QWord;
  upper: UnicodeString;
  status: LongInt;
begin
  Threads;
  upper := UnicodeUpperCase(UnicodeString('äöü'));
  WriteLn('locale ', UTF8Encode(upper));
  before := GetTickCount64;
  Sleep(20);
  if (GetTickCount64 - before >= 10) and (YearOf(Now) >= 2024) then WriteLn('time passes');
  Differs;
  Flush(Output);
  if ParamCount = 0 then begin
    status := fpSystem('exit 7');
    if wifexited(status) and (wexitstatus(status) = 7) then WriteLn('subprocess 7') else WriteLn('subprocess refused');
  end;
end.
